/// Cuts a stream of bytes into lines, holding one line at most. Lines that are blank (white space alone) are counted
/// but not given: they are no items.
package struct LineSplitter: Sendable {
  /// One line that is not blank.
  package struct Line: Sendable, Equatable {
    /// From 1, blank lines counted.
    package let number: Int
    /// The bytes without the newline; nil when there were more than the limit.
    package var bytes: [UInt8]?
  }

  private let limit: Int
  private var number = 1
  private var line: [UInt8] = []
  private var isTooLong = false

  package init(limit: Int = LineLimits.lineBytes) { self.limit = limit }

  /// Takes the next bytes and gives the lines that they end.
  package mutating func feed(_ bytes: some Collection<UInt8>) -> [Line] {
    var lines: [Line] = []
    var rest = bytes[...]
    while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
      append(rest[..<newline])
      endLine(&lines)
      rest = rest[rest.index(after: newline)...]
    }
    append(rest)
    return lines
  }

  /// Gives the last line, when no newline ended it.
  package mutating func finish() -> Line? {
    var lines: [Line] = []
    endLine(&lines)
    return lines.first
  }

  private mutating func append(_ bytes: some Collection<UInt8>) {
    let room = limit - line.count
    if bytes.count > room { isTooLong = true }
    line.append(contentsOf: bytes.prefix(room))
  }

  private mutating func endLine(_ lines: inout [Line]) {
    let isBlank = line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
    if isTooLong {
      lines.append(Line(number: number, bytes: nil))
    } else if !isBlank {
      lines.append(Line(number: number, bytes: line))
    }
    line.removeAll(keepingCapacity: true)
    isTooLong = false
    number += 1
  }
}
