import Inference
import Wire

/// Where one piece of input stands, as errors name it.
package enum InputPlace: Hashable, Sendable, CustomStringConvertible {
  /// Counted from 1, as editors do.
  case line(Int)
  /// A path relative to the folder.
  case file(String)

  /// Whether it is a line of a file, and no file.
  var isLine: Bool { if case .line = self { true } else { false } }

  package var description: String {
    switch self {
    case .line(let number): "line \(number)"
    case .file(let path): "file \(path)"
    }
  }
}

/// One piece of input as it was found: a line without its newline, or a text file.
package struct InputPiece: Sendable {
  package let place: InputPlace
  /// Nil when there were more than ``Limits/inputLineBytes``.
  package let bytes: [UInt8]?
}

/// What an origin left out and why, for the summary; nothing is left out in silence.
package struct SkippedInput: Sendable, Equatable {
  /// How many for each reason.
  package private(set) var reasons: [String: Int] = [:]
  /// The first few, for people.
  package private(set) var examples: [String] = []

  package init() {}

  /// All of them.
  package var count: Int { reasons.values.reduce(0, +) }

  mutating func add(_ path: String, _ reason: String) {
    reasons[reason, default: 0] += 1
    if examples.count < 20 { examples.append("\(path): \(reason)") }
  }
}

/// A batch input that can be read twice: once to judge and digest it, once to seal it. Neither pass holds more than one
/// piece in memory, and no plaintext is written anywhere.
package protocol InputOrigin {
  /// What the user called it.
  var name: String { get }
  /// How its pieces become the job's lines.
  var kind: InputKind { get }
  /// Hands out every piece in order, and says what was left out. Each call begins anew.
  ///
  /// - Throws: ``ClientError``, or what `body` throws.
  func forEach(_ body: (InputPiece) throws -> Void) throws -> SkippedInput
}

/// How pieces become lines.
package enum InputKind: Sendable, Equatable {
  /// JSON Lines; the first line says of which kind.
  case jsonl
  /// A text file for each piece; its path becomes the id.
  case textFiles
}

/// A JSON Lines file.
package struct JSONLFile: InputOrigin {
  package let name: String
  package var kind: InputKind { .jsonl }

  package init(path: String) { name = path }

  package func forEach(_ body: (InputPiece) throws -> Void) throws -> SkippedInput {
    let file = try OpenedFile(reading: name)
    guard try file.regularSize() != nil else {
      throw ClientError(.usage, "\(name) is not a regular file", remedy: "use - to read from a pipe")
    }
    try InputLines.forEach(in: file, body)
    return SkippedInput()
  }
}

/// Splits a stream into lines.
enum InputLines {
  /// Hands out each line that is not blank, without newline, carriage return and byte order mark.
  static func forEach(in source: any ByteSource, _ body: (InputPiece) throws -> Void) throws {
    var splitter = LineSplitter()
    while true {
      let piece = try source.read(upTo: 1 << 18)
      if piece.isEmpty { break }
      for line in splitter.feed(piece) { try body(Self.piece(line)) }
    }
    if let line = splitter.finish() { try body(Self.piece(line)) }
  }

  private static func piece(_ line: LineSplitter.Line) -> InputPiece {
    var bytes = line.bytes
    if bytes?.last == 0x0D { bytes?.removeLast() }
    if line.number == 1, bytes?.starts(with: [0xEF, 0xBB, 0xBF]) == true { bytes?.removeFirst(3) }
    return InputPiece(place: .line(line.number), bytes: bytes)
  }
}
