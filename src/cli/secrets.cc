#include "cli/secrets.h"

#include <algorithm>
#include <array>

#include "cli/text.h"

namespace understudy::cli {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"password", "passwd", "passphrase",
                                                    "secret",   "token",  "psk"};
constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kEndsBareValue = " \t\r\n\"'\\,;<>&()";

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

size_t skip(std::string_view text, size_t at, std::string_view which) {
  return std::min(text.find_first_not_of(which, at), text.size());
}
size_t until(std::string_view text, size_t at, std::string_view which) {
  return std::min(text.find_first_of(which, at), text.size());
}

class Cleaner {
 public:
  explicit Cleaner(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (private_key() || hash() || uri()) continue;
      if (is_word(text_[at_]))
        word();
      else
        keep(at_ + 1);
    }
    return std::move(out_);
  }

 private:
  void keep(size_t end) {
    out_ += text_.substr(at_, end - at_);
    at_ = end;
  }
  void remove(size_t end) {
    if (end > at_) out_ += kRemoved;
    at_ = end;
  }

  // From its first line to its last, or to the end of the text when that is cut off.
  bool private_key() {
    constexpr std::string_view begin = "-----BEGIN ";
    if (!text_.substr(at_).starts_with(begin)) return false;
    const std::string_view title = text_.substr(at_, until(text_, at_, "\r\n\\") - at_);
    if (title.find("PRIVATE KEY") == std::string_view::npos) return false;
    const size_t last = text_.find("-----END", at_);
    const size_t dashes = last == std::string_view::npos ? last : text_.find("-----", last + 8);
    remove(dashes == std::string_view::npos ? text_.size() : dashes + 5);
    return true;
  }

  // "$argon2id$...", "$6$...", "$y$...": as crypt(3) and argon2 write them.
  bool hash() {
    if (text_[at_] != '$') return false;
    size_t end = at_ + 1;
    while (end < text_.size() && is_word(text_[end])) ++end;
    if (end == at_ + 1 || end == text_.size() || text_[end] != '$') return false;
    remove(until(text_, end, " \t\r\n\"'\\:;<>"));
    return true;
  }

  // "://user:PASSWORD@"
  bool uri() {
    if (!text_.substr(at_).starts_with("://")) return false;
    const size_t user = at_ + 3;
    const size_t end = until(text_, user, " \t\r\n\"'<>/");
    const std::string_view authority = text_.substr(user, end - user);
    const size_t host = authority.rfind('@');
    const size_t colon = authority.find(':');
    if (host == std::string_view::npos || colon == std::string_view::npos || colon > host) return false;
    keep(user + colon + 1);
    remove(user + host);
    return true;
  }

  void word() {
    const size_t begin = at_;
    size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const std::string name =
        end - begin > 256 ? std::string() : lower_case(std::string(text_.substr(begin, end - begin)));
    keep(end);
    if (name == "basic" || name == "bearer") return credentials();
    if (std::ranges::any_of(kNames, [&](std::string_view n) { return name.ends_with(n); })) value();
  }

  // "Basic dXNlcjpwYXNz"
  void credentials() {
    const size_t begin = skip(text_, at_, kBlanks);
    if (begin == at_) return;
    const size_t end = until(text_, begin, kEndsBareValue);
    if (end - begin < 8) return;  // a word of a sentence
    keep(begin);
    remove(end);
  }

  // After a name: = : or > , and what stands behind it, in quotes or not.
  void value() {
    size_t sign = skip(text_, at_, " \t\"'\\");
    if (sign == text_.size() || (text_[sign] != '=' && text_[sign] != ':' && text_[sign] != '>')) return;
    const bool element = text_[sign] == '>';
    keep(skip(text_, sign + 1, kBlanks));
    if (element) return remove(until(text_, at_, "<"));
    size_t slashes = 0;
    while (at_ + slashes < text_.size() && text_[at_ + slashes] == '\\') ++slashes;
    const size_t quote = at_ + slashes;
    if (quote == text_.size() || (text_[quote] != '"' && text_[quote] != '\''))
      return remove(until(text_, at_, kEndsBareValue));
    keep(quote + 1);
    remove(closing(text_[quote], slashes));
  }

  // The quote that is not escaped any further than the opening one was; at most to the end of the line.
  size_t closing(char quote, size_t slashes) const {
    size_t before = 0;
    for (size_t i = at_; i < text_.size(); ++i) {
      if (text_[i] == '\n') return i;
      if (text_[i] == quote && before <= slashes) return i - before;
      before = text_[i] == '\\' ? before + 1 : 0;
    }
    return text_.size();
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string without_secrets(std::string_view text) {
  return Cleaner(text).run();
}

}  // namespace understudy::cli
