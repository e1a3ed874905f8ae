#include "cim/wql_lexer.h"

#include <algorithm>

#include "cim/value.h"

namespace understudy::cim::wql {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// The length of a number at the start of the text: sign, digits, fraction, exponent.
size_t number_length(std::string_view text) {
  size_t n = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  const auto digits = [&] {
    const size_t first = n;
    while (n < text.size() && digit(text[n])) ++n;
    return n > first;
  };
  if (!digits()) return 0;
  if (n + 1 < text.size() && text[n] == '.' && digit(text[n + 1])) {
    ++n;
    digits();
  }
  if (n < text.size() && (text[n] == 'e' || text[n] == 'E')) {
    const size_t mantissa = n++;
    if (n < text.size() && (text[n] == '-' || text[n] == '+')) ++n;
    if (!digits()) n = mantissa;
  }
  return n;
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && letter(text.front()) &&
         std::ranges::all_of(text, [](char c) { return letter(c) || digit(c); });
}

bool Token::is(std::string_view word) const {
  return (kind == Kind::name || kind == Kind::symbol) && same_name(value, word);
}

std::string Token::shown() const {
  return kind == Kind::end ? "the end" : "'" + value.substr(0, 64) + "'";
}

tl::unexpected<Error> syntax_error(size_t position, std::string_view expected, std::string_view found) {
  return fail(ErrorCode::invalid_parameter, "WQL: expected " + std::string(expected) + " at character " +
                                                std::to_string(position) + ", found " + std::string(found));
}

void Lexer::skip_space() {
  at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size());
}

Token Lexer::take(Token::Kind kind, size_t length) {
  Token token{kind, std::string(text_.substr(at_, length)), at_ + 1};
  at_ += length;
  return token;
}

Result<Token> Lexer::next() {
  skip_space();
  if (at_ == text_.size()) return Token{Token::Kind::end, {}, at_ + 1};
  const std::string_view rest = text_.substr(at_);
  const char c = rest.front();
  if (c == '"' || c == '\'') return quoted(c);
  if (letter(c)) {
    size_t n = 1;
    while (n < rest.size() && (letter(rest[n]) || digit(rest[n]))) ++n;
    return take(Token::Kind::name, n);
  }
  if (const size_t n = number_length(rest)) return take(Token::Kind::number, n);
  for (const std::string_view symbol : {"<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "*", "."})
    if (rest.starts_with(symbol)) return take(Token::Kind::symbol, symbol.size());
  return syntax_error(at_ + 1, "a word", "'" + std::string(1, c) + "'");
}

// A backslash before a quote or a backslash makes it plain; before anything else it is itself plain, because
// clients send InstanceIDs with single backslashes too.
Result<Token> Lexer::quoted(char quote) {
  Token token{Token::Kind::text, {}, at_ + 1};
  for (size_t i = at_ + 1; i < text_.size(); ++i) {
    char c = text_[i];
    if (c == quote) {
      at_ = i + 1;
      return token;
    }
    if (c == '\\' && i + 1 < text_.size() &&
        std::string_view("\\'\"").find(text_[i + 1]) != std::string_view::npos)
      c = text_[++i];
    token.value += c;
  }
  return syntax_error(text_.size() + 1, std::string("a closing ") + quote, "the end");
}

Result<Token> Lexer::braced() {
  skip_space();
  if (at_ == text_.size() || text_[at_] != '{') {
    US_TRY(const Token found, next());
    return syntax_error(found.position, "'{'", found.shown());
  }
  const size_t open = at_++;
  char quote = '\0';
  for (size_t i = at_; i < text_.size(); ++i) {
    const char c = text_[i];
    if (quote != '\0' && c == '\\')
      ++i;
    else if (quote != '\0')
      quote = c == quote ? '\0' : quote;
    else if (c == '"' || c == '\'')
      quote = c;
    else if (c == '}') {
      std::string_view inner = text_.substr(open + 1, i - open - 1);
      inner.remove_prefix(std::min(inner.find_first_not_of(kSpace), inner.size()));
      inner = inner.substr(0, inner.find_last_not_of(kSpace) + 1);
      at_ = i + 1;
      return Token{Token::Kind::text, std::string(inner), open + 2};
    }
  }
  return syntax_error(text_.size() + 1, "'}'", "the end");
}

}  // namespace understudy::cim::wql
