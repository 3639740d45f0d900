import Inference

extension FuzzTarget {
  /// Input lines in either format: how the bytes were cut into pieces changes nothing.
  static let inputLines = FuzzTarget("input-lines", seeds: { BatchSeeds.inputs }) { bytes in
    var whole = LineSplitter(limit: 1000)
    let lines = whole.feed(bytes) + (whole.finish().map { [$0] } ?? [])
    var pieces = LineSplitter(limit: 1000)
    var again: [LineSplitter.Line] = []
    for start in stride(from: 0, to: bytes.count, by: 7) {
      again += pieces.feed(bytes[start..<min(start + 7, bytes.count)])
    }
    again += pieces.finish().map { [$0] } ?? []
    try hold(again == lines, "lines do not depend on how the bytes came")
    guard let first = lines.first?.bytes else { return }
    let detected = try? LineFormat.detect(firstLine: first)
    for format in detected.map({ [$0] }) ?? LineFormat.allCases {
      for line in lines {
        try read(line, format)
      }
    }
  }

  private static func read(_ line: LineSplitter.Line, _ format: LineFormat) throws {
    let item: InputItem
    do {
      item = try InputItem(line, format: format)
      try item.check(dimensions: 384)
    } catch {
      // The worker writes the refusal into errors.jsonl, and the client reads it there.
      let refusal = OutputLine.ErrorLine(index: 0, error)
      try hold(try OutputLine(parsing: refusal.encoded()) == .error(refusal), "a refusal reads as it was written")
      return
    }
    let again = try InputItem(parsing: InputItem.idTextLine(id: item.id, text: item.text), line: 2, format: .idText)
    try hold(again.id == item.id && again.text == item.text, "an item reads as it was written")
  }

  /// A result line, as a client reads it.
  static let outputLines = FuzzTarget("output-lines", seeds: { BatchSeeds.outputs }) { bytes in
    switch try OutputLine(parsing: bytes) {
    case .embedding(let line):
      for encoding in [EmbeddingEncoding.base64, .float] {
        guard case .embedding(let again) = try OutputLine(parsing: line.encoded(encoding)) else {
          throw Violation("an embedding reads as one")
        }
        try hold(again == line, "an embedding reads as it was written")
      }
    case .scores(let line):
      guard case .scores(let again) = try OutputLine(parsing: line.encoded()) else {
        throw Violation("scores read as scores")
      }
      try hold(again == line, "scores read as they were written")
    case .error(let line):
      guard case .error(let again) = try OutputLine(parsing: line.encoded()) else {
        throw Violation("an error reads as one")
      }
      try hold(again == line, "an error reads as it was written")
    }
  }
}

private enum BatchSeeds {
  static let inputs = [
    #"{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x","encoding_format":"float"}}"#
      + "\n\n"
      + #"{"custom_id":"2","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":["y"],"dimensions":384}}"#,
    "\u{feff}{\"id\":\"1\",\"text\":\"é\\u00e9\"}\r\n{\"id\":\"2\",\"text\":\"\"}\n", "{}\n", "\n \t\n",
    #"{"id":"1","text":"q","text_pair":"p"}"#,
  ].map { Array($0.utf8) }

  static let outputs = [
    OutputLine.EmbeddingLine(index: 0, customID: "a", model: "m", embedding: [1, -0.5], tokens: 3, truncated: false)
      .encoded(.base64),
    OutputLine.EmbeddingLine(index: 9, customID: "é", model: "m", embedding: [1e-30], tokens: 0, truncated: true)
      .encoded(.float), OutputLine.ErrorLine(index: 1, customID: nil, code: "invalid_json", message: "no").encoded(),
    OutputLine.ScoresLine(
      index: 2, customID: "c", model: "m", scores: [0.25, 0.75], labels: ["x", "y"], tokens: 1, truncated: false
    ).encoded(),
    OutputLine.ScoresLine(
      index: 2, customID: "c", model: "m", scores: [-1.5], labels: nil, tokens: 1, truncated: false
    ).encoded(),
  ]
}
