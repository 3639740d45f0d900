/// Patterns of policies: `*` is any run of characters, `?` any one.
enum Wildcard {
  /// Whether the whole of `text` is of the form `pattern`. Linear in practice, quadratic at worst: one star is
  /// reconsidered at a time.
  static func matches(_ text: String, _ pattern: String) -> Bool {
    let text = Array(text.unicodeScalars)
    let pattern = Array(pattern.unicodeScalars)
    var at = 0
    var want = 0
    var star: (want: Int, at: Int)?
    while at < text.count {
      if want < pattern.count, pattern[want] == "*" {
        star = (want, at)
        want += 1
      } else if want < pattern.count, pattern[want] == "?" || pattern[want] == text[at] {
        at += 1
        want += 1
      } else if let last = star {
        star = (last.want, last.at + 1)
        want = last.want + 1
        at = last.at + 1
      } else {
        return false
      }
    }
    return pattern[want...].allSatisfy { $0 == "*" }
  }
}
