import FoundationEssentials

/// A result line that is not what the worker writes: the results are not ours, or of another version.
package struct OutputLineError: Error, Equatable, CustomStringConvertible {
  package let reason: String
  package var description: String { "a result line is malformed: \(reason)" }
}

extension OutputLine {
  /// Floats of an embedding at most.
  private static let dimensionsLimit = 8192

  /// Reads a line of output.jsonl or errors.jsonl, without its newline, in either encoding.
  package init(parsing bytes: [UInt8]) throws(OutputLineError) {
    let value: JSONValue
    do {
      value = try JSONValue(
        parsing: bytes, limits: JSONLimits(bytes: LineLimits.outputLineBytes, depth: 8, values: 20_000))
    } catch {
      throw OutputLineError(reason: error.description)
    }
    guard let object = value.object else { throw OutputLineError(reason: "not a JSON object") }
    guard let id = object["id"]?.string, id.hasPrefix("batch_req_"),
      let number = Int(id.dropFirst("batch_req_".count)), number >= 1
    else { throw OutputLineError(reason: "`id`") }
    if let error = object["error"]?.object {
      guard let code = error["code"]?.string, let message = error["message"]?.string else {
        throw OutputLineError(reason: "`error`")
      }
      let line = ErrorLine(index: number - 1, customID: object["custom_id"]?.string, code: code, message: message)
      self = .error(line)
    } else {
      self = try Self.result(object, index: number - 1)
    }
  }

  private static func result(_ object: JSONObject, index: Int) throws(OutputLineError) -> OutputLine {
    guard let customID = object["custom_id"]?.string else { throw OutputLineError(reason: "`custom_id`") }
    guard let response = object["response"]?.object, response["status_code"]?.integer == 200,
      let body = response["body"]?.object
    else { throw OutputLineError(reason: "`response`") }
    if let line = try CompletionLine(index: index, customID: customID, body: body) { return .completion(line) }
    guard let model = body["model"]?.string,
      let tokens = body["usage"]?.object?["prompt_tokens"]?.integer, tokens >= 0,
      let data = body["data"]?.array, data.count == 1, let item = data[0].object,
      let truncated = item["truncated"]?.bool
    else { throw OutputLineError(reason: "`response`") }
    if let kind = item["object"]?.string, kind != "embedding" {
      let scores = try scores(item, kind)
      return .scores(
        ScoresLine(
          index: index, customID: customID, model: model, scores: scores.map(\.score),
          labels: kind == "score" ? nil : scores.map(\.label), tokens: tokens, truncated: truncated))
    }
    guard let embedding = floats(item["embedding"]), (1...dimensionsLimit).contains(embedding.count),
      embedding.allSatisfy(\.isFinite)
    else { throw OutputLineError(reason: "`embedding`") }
    return .embedding(
      EmbeddingLine(
        index: index, customID: customID, model: model, embedding: embedding, tokens: tokens, truncated: truncated))
  }

  private static func scores(_ item: JSONObject, _ kind: String) throws(OutputLineError) -> [ScoresLine.Entry] {
    let values: [(label: String?, score: JSONValue?)] =
      switch kind {
      case "score": [("", item["score"])]
      case "classification":
        (item["scores"]?.array ?? []).map { ($0.object?["label"]?.string, $0.object?["score"]) }
      default: []
      }
    var scores: [ScoresLine.Entry] = []
    for (label, value) in values {
      guard let label, case .number(let text) = value, let score = Float(text), score.isFinite else {
        throw OutputLineError(reason: "`scores`")
      }
      scores.append(.init(label: label, score: score))
    }
    guard !scores.isEmpty, kind == "score" || item["label"]?.string == scores.max(by: { $0.score < $1.score })?.label
    else { throw OutputLineError(reason: "`label`") }
    return scores
  }

  private static func floats(_ value: JSONValue?) -> [Float]? {
    switch value {
    case .string(let text):
      guard let bytes = Data(base64Encoded: text).map(Array.init), bytes.count % 4 == 0 else { return nil }
      return stride(from: 0, to: bytes.count, by: 4).map { place in
        let bits = bytes[place..<place + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return Float(bitPattern: bits)
      }
    case .array(let items):
      let floats = items.compactMap { item in if case .number(let text) = item { Float(text) } else { nil } }
      return floats.count == items.count ? floats : nil
    default: return nil
    }
  }
}
