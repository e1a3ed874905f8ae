// The words of a WQL text, one at a time. Lives for one parse; the text must outlive it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace understudy::cim::wql {

struct Token {
  enum class Kind : uint8_t { name, number, text, symbol, end };
  Kind kind = Kind::end;
  std::string value;    // of a text: without quotes and escapes
  size_t position = 1;  // of its first character, from 1

  bool is(std::string_view word) const;  // a name or a symbol, without case
  std::string shown() const;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  Result<Token> next();
  // The object path between { and }, not split into words.
  Result<Token> braced();

 private:
  Result<Token> quoted(char quote);
  Token take(Token::Kind kind, size_t length);
  void skip_space();

  std::string_view text_;
  size_t at_ = 0;
};

bool is_name(std::string_view text);  // could it stand as a word, without quotes?

tl::unexpected<Error> syntax_error(size_t position, std::string_view expected, std::string_view found);

}  // namespace understudy::cim::wql
