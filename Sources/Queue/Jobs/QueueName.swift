/// The name of a queue, which is also the folder under `inbox/` that fills it: 1 to 64 of `a-z 0-9 - _`, beginning
/// with a letter or digit. `cancel` is taken by the folder of cancel statements.
package struct QueueName: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The name as it stands in keys and in the schema.
  package let rawValue: String

  /// Nil for anything that is no queue's name.
  package init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard (1...64).contains(bytes.count), text != "cancel", let first = bytes.first else { return nil }
    let isWord = { (byte: UInt8) in (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) }
    guard isWord(first), bytes.allSatisfy({ isWord($0) || $0 == 0x2d || $0 == 0x5f }) else { return nil }
    rawValue = String(text)
  }

  package static func < (left: QueueName, right: QueueName) -> Bool { left.rawValue < right.rawValue }

  package var description: String { rawValue }
}
