import Wire

/// The name of an object, the same in every store: segments joined by `/`.
///
/// Invariants, so that a key is a safe relative path and survives XML and URLs: 1 to 1024 bytes of UTF-8; each segment
/// 1 to 255 bytes, not `.` or `..`; no control characters; no leading or trailing `/`; no segment begins with the
/// stores' own ``reservedPrefix``. Compared byte by byte, not by Unicode equivalence.
package struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Names that begin so are the stores' own (temporary files) and cannot be asked for.
  package static let reservedPrefix = ".ephemeralml-"
  /// S3's limit for a key; a store's prefix counts too, and is checked where the store is opened.
  package static let limitBytes = 1024

  /// The key as text.
  package let text: String

  /// - Throws: ``ObjectStoreError`` of kind `invalid`, naming the rule that is broken.
  package init(_ text: String) throws {
    if let fault = Self.fault(text) {
      throw ObjectStoreError(.invalid, "key \"\(Self.printable(text))\"", fault, mend: "use another name")
    }
    self.text = text
  }

  /// A store's own object beside `key`, which no caller can name and no listing shows.
  static func reserved(_ name: String, beside key: ObjectKey) -> ObjectKey {
    let folder = key.text.utf8.lastIndex(of: UInt8(ascii: "/")).map { key.text[...$0] } ?? ""
    return ObjectKey(unchecked: folder + reservedPrefix + name)
  }

  /// A name from a server's list, a store's own (``reserved(_:beside:)``) among them; nil for what cannot be a key.
  static func listed(_ text: String) -> ObjectKey? {
    if let key = try? ObjectKey(text) { return key }
    let name = text.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    return name.hasPrefix(reservedPrefix + ConditionTest.name) ? ObjectKey(unchecked: text) : nil
  }

  private init(unchecked text: String) { self.text = text }

  /// What is wrong with `text` as a key; nil when nothing is.
  static func fault(_ text: String) -> String? {
    guard !text.isEmpty else { return "a key must not be empty" }
    guard text.utf8.count <= limitBytes else { return "a key has at most \(limitBytes) bytes" }
    guard !text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7f...0x9f).contains($0.value) }) else {
      return "a key must not have control characters"
    }
    for segment in text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      guard !segment.isEmpty else { return "a key must not begin or end with a slash or have two in a row" }
      guard segment.count <= 255 else { return "a part of a key has at most 255 bytes" }
      guard !segment.elementsEqual(".".utf8), !segment.elementsEqual("..".utf8) else {
        return "a key must not have . or .. in it"
      }
      guard !segment.starts(with: reservedPrefix.utf8) else {
        return "names with \(reservedPrefix) are the store's own"
      }
    }
    return nil
  }

  /// The parts between slashes.
  var segments: [String] { text.split(separator: "/").map(String.init) }

  package var description: String { text }

  package static func == (left: ObjectKey, right: ObjectKey) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }
  package static func < (left: ObjectKey, right: ObjectKey) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }
  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
  }

  /// At most 80 characters and no control characters: a key that is refused is still shown to somebody.
  private static func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(80).map { $0.value < 0x20 ? "?" : $0 }))
  }
}
