/// Why an age file was not opened or not made, by what the caller can do about it.
///
/// `reason` and `place` name no key and no content; they may be shown to the holder of the file and never leave the
/// worker.
package struct AgeError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The classes that age's test vectors tell apart, and three of our own.
  package enum Kind: String, Sendable {
    /// No identity opens any stanza: the file is for somebody else (or a stanza was altered).
    case noMatch = "no match"
    /// The file key is right and the header is not the one that its maker wrote.
    case headerMAC = "HMAC failure"
    /// The header breaks the format or a limit.
    case header = "header failure"
    /// The payload was altered, truncated or extended.
    case payload = "payload failure"
    /// A legal age file with other recipients than its role allows (protocol §3).
    case role = "wrong recipients"
    /// A recipient or identity that is none: text, length or key material.
    case key = "malformed key"
    /// The file cannot be made as asked: no recipients, too many, or written after its end.
    case sealing = "cannot seal"
  }

  package let kind: Kind
  /// What is wrong, in words.
  package let reason: String
  /// Where: "version line", "stanza 3, body", "chunk 17". Empty when the kind says it.
  package let place: String

  package init(_ kind: Kind, _ reason: String, at place: String = "") {
    self.kind = kind
    self.reason = reason
    self.place = place
  }

  package var description: String {
    place.isEmpty ? "\(kind.rawValue): \(reason)" : "\(kind.rawValue) at \(place): \(reason)"
  }
}
