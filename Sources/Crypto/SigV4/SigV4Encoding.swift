/// The strict percent-encoding of AWS Signature Version 4 (RFC 3986 §2.1 and §2.3: everything but the unreserved
/// characters is escaped, in upper-case hexadecimal). The same bytes must be sent as are signed.
package enum SigV4Encoding {
  /// Escapes `text` byte by byte; `/` stays as it is only where `keepSlash` says so.
  package static func escape(_ text: String, keepSlash: Bool = false) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      if isUnreserved(byte) || (keepSlash && byte == UInt8(ascii: "/")) {
        result.append(byte)
      } else {
        result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// The path as it goes on the wire: each segment escaped once, `/` kept; an empty path is `/`.
  package static func wirePath(_ path: String) -> String {
    path.isEmpty ? "/" : escape(path, keepSlash: true)
  }

  /// The query as it is signed and sent: escaped, then sorted by name and value, each name with its `=`.
  package static func wireQuery(_ query: [(String, String)]) -> String {
    query.map { (Array(escape($0.0).utf8), Array(escape($0.1).utf8)) }
      .sorted { left, right in
        left.0 == right.0 ? left.1.lexicographicallyPrecedes(right.1) : left.0.lexicographicallyPrecedes(right.0)
      }
      .map { String(decoding: $0.0, as: UTF8.self) + "=" + String(decoding: $0.1, as: UTF8.self) }
      .joined(separator: "&")
  }

  /// Undoes percent-encoding; nil for a broken escape or bytes that are not UTF-8. A `+` stays a plus (it is a space
  /// only in HTML forms).
  package static func unescape(_ text: some StringProtocol) -> String? {
    var result: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        result.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(nibble), let low = rest.popFirst().flatMap(nibble) else { return nil }
      result.append(high << 4 | low)
    }
    return String(validating: result, as: UTF8.self)
  }

  /// A path without `.`, `..` and empty segments, as services other than S3 sign it (RFC 3986 §5.2.4).
  static func normalized(_ path: String) -> String {
    var kept: [Substring] = []
    for segment in path.split(separator: "/", omittingEmptySubsequences: true) where segment != "." {
      if segment == ".." { _ = kept.popLast() } else { kept.append(segment) }
    }
    let endsOpen = path.hasSuffix("/") || path.hasSuffix("/.") || path.hasSuffix("/..")
    return "/" + kept.joined(separator: "/") + (endsOpen && !kept.isEmpty ? "/" : "")
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"):
      true
    default: false
    }
  }

  private static func nibble(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }
}
