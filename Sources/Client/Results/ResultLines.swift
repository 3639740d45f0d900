import Wire

/// Cuts an opened result file into its lines. The blanks before the last newline are padding (protocol §3) and may be
/// many: they are counted and never held.
final class ResultLines {
  /// Bytes of one line without its padding.
  static let lineBytes = 4 << 20
  private static let blank = UInt8(ascii: " ")

  private let source: any ByteSource
  private let name: String
  private var buffer: ArraySlice<UInt8> = []
  private var line: [UInt8] = []
  /// Blanks that stand behind `line` and count only when something follows them.
  private var blanks = 0
  private var atEnd = false

  init(_ source: any ByteSource, name: String) {
    self.source = source
    self.name = name
  }

  /// The next line that is not blank, without blanks at its end; nil at the file's end.
  ///
  /// - Throws: ``WireError/tooLarge(_:limit:)``; what the source throws.
  func next() throws -> [UInt8]? {
    while true {
      if let newline = buffer.firstIndex(of: 0x0A) {
        try append(buffer[..<newline])
        buffer = buffer[(newline + 1)...]
        if let line = take() { return line }
        continue
      }
      try append(buffer)
      buffer = []
      if atEnd { return take() }
      let piece = try source.read(upTo: Limits.chunkBytes)
      if piece.isEmpty { atEnd = true } else { buffer = piece[...] }
    }
  }

  private func append(_ piece: ArraySlice<UInt8>) throws {
    guard let last = piece.lastIndex(where: { $0 != Self.blank }) else {
      blanks += piece.count
      return
    }
    let text = piece[...last]
    guard line.count + blanks + text.count <= Self.lineBytes else {
      throw WireError.tooLarge("a line of \(name)", limit: Self.lineBytes)
    }
    line += [UInt8](repeating: Self.blank, count: blanks)
    line += text
    blanks = piece.endIndex - 1 - last
  }

  private func take() -> [UInt8]? {
    defer {
      line.removeAll(keepingCapacity: true)
      blanks = 0
    }
    return line.isEmpty ? nil : line
  }
}
