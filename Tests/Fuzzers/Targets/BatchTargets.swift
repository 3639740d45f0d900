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

  /// A line that asks for a text: refused by its member's name, or of settings that a sampler takes. A schema in it
  /// compiles to what never runs into a dead end, or is refused.
  static let generationLines = FuzzTarget("generation-lines", seeds: { BatchSeeds.generations }) { bytes in
    let item: GenerationItem
    do throws(InputLineError) {
      item = try GenerationItem(parsing: bytes, line: 1)
    } catch {
      let refusal = OutputLine.ErrorLine(index: 0, error)
      try hold(try OutputLine(parsing: refusal.encoded()) == .error(refusal), "a refusal reads as it was written")
      return
    }
    let fault = item.settings(seed: 1, maximumTokens: 16).fault
    try hold(fault == nil, "a line's settings are a sampler's: \(fault ?? "")")
    var cache = ConstraintCache(prefixes: BatchSeeds.prefixes)
    guard var constraint = try cache.constraint(for: item) else { return }
    var text: [UInt8] = []
    while text.count < 200, !constraint.mayEnd {
      var mask = TokenMask(count: BatchSeeds.prefixes.count)
      constraint.allowed(into: &mask)
      let choices = (0..<Int32(BatchSeeds.prefixes.count)).filter(mask.contains)
      try hold(!choices.isEmpty, "there is always a way on, or an end")
      let token = choices[(text.count * 7 + bytes.count) % choices.count]
      constraint.advance(token)
      text.append(UInt8(token))
    }
    guard constraint.mayEnd else { return }
    let value = try? JSONValue(parsing: text, limits: JSONLimits(bytes: 1000, depth: 64, values: 1000))
    try hold(value != nil, "a text that may end is JSON")
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
    case .completion(let line):
      guard case .completion(let again) = try OutputLine(parsing: line.encoded()) else {
        throw Violation("a completion reads as one")
      }
      try hold(again == line, "a completion reads as it was written")
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

  /// One token for each byte.
  static let prefixes = TokenPrefixes(TokenBytes((0...255).map { [UInt8($0)] }))

  static let generations = [
    #"{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","#
      + #""content":[{"type":"text","text":"x"}]}],"temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"seed":-7,"#
      + #""stop":["a","b"],"max_tokens":5,"n":1,"response_format":{"type":"json_object"}}}"#,
    #"{"custom_id":"2","method":"POST","url":"/v1/completions","body":{"model":"m","prompt":["x"],"stop":"\n"}}"#,
    #"{"custom_id":"3","method":"POST","url":"/v1/completions","body":{"model":"m","prompt":"x","response_format":"#
      + #"{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{"a":{"enum":[1,"x"]},"#
      + #""b":{"type":["integer","null"],"minimum":-3,"maximum":12}},"required":["a"],"additionalProperties":"#
      + ##"{"anyOf":[{"type":"string","maxLength":3},{"$ref":"#"}]}}}}}}"##,
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
    OutputLine.CompletionLine(
      index: 3, customID: "d", model: "m", isChat: true, text: "é\n", finish: .stop, promptTokens: 2, outputTokens: 3
    ).encoded(),
    OutputLine.CompletionLine(
      index: 4, customID: "e", model: "m", isChat: false, text: "", finish: .length, promptTokens: 2, outputTokens: 3,
      created: 1_772_539_389
    ).encoded(),
  ]
}
