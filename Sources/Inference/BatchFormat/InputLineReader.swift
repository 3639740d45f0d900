/// Reads the members of one input line and names line, id and parameter in every refusal.
struct InputLineReader {
  let object: JSONObject
  let line: Int
  private let format: LineFormat
  private let id: String?

  init(
    _ bytes: [UInt8], line: Int, format: LineFormat, limits: JSONLimits = LineLimits.json
  ) throws(InputLineError) {
    object = try Self.object(bytes, line: line, limits: limits)
    self.line = line
    self.format = format
    id = object[format == .openAI ? "custom_id" : "id"]?.string
  }

  /// The line as a JSON object. A byte order mark is let pass at the input's head only.
  static func object(
    _ bytes: [UInt8], line: Int, limits: JSONLimits = LineLimits.json
  ) throws(InputLineError) -> JSONObject {
    let text = line == 1 && bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
    guard String(validating: text, as: UTF8.self) != nil else {
      throw InputLineError(code: .invalidUTF8, message: "not UTF-8", line: line)
    }
    do {
      if let object = try JSONValue(parsing: text, limits: limits).object { return object }
    } catch {
      throw InputLineError(code: .invalidJSON, message: error.description, line: line)
    }
    throw InputLineError(code: .invalidJSON, message: "not a JSON object", line: line)
  }

  func item() throws(InputLineError) -> InputItem {
    switch format {
    case .idText:
      try allow(["id", "text", "text_pair"], in: object, "")
      return InputItem(
        line: line, id: try identifier("id"), text: try string("text", in: object, "text"),
        pair: try object["text_pair"].map { (_) throws(InputLineError) in
          try string("text_pair", in: object, "text_pair")
        })
    case .openAI:
      return try openAIItem()
    }
  }

  private func openAIItem() throws(InputLineError) -> InputItem {
    try allow(["custom_id", "method", "url", "body"], in: object, "")
    let id = try identifier("custom_id")
    guard try string("method", in: object, "method") == "POST" else {
      throw failure(.invalidValue, "must be POST", "method")
    }
    guard try string("url", in: object, "url") == "/v1/embeddings" else {
      throw failure(.unsupportedURL, "must be /v1/embeddings", "url")
    }
    guard let body = object["body"] else { throw failure(.missingParameter, "is missing", "body") }
    guard let body = body.object else { throw failure(.invalidType, "must be an object", "body") }
    try allow(["model", "input", "encoding_format", "dimensions", "user"], in: body, "body.")
    return InputItem(
      line: line, id: id, text: try input(body), encoding: try encoding(body), dimensions: try dimensions(body),
      model: try string("model", in: body, "body.model"))
  }

  /// One string, or an array of exactly one.
  private func input(_ body: JSONObject) throws(InputLineError) -> String {
    guard let input = body["input"] else { throw failure(.missingParameter, "is missing", "body.input") }
    if let text = input.string { return text }
    guard let array = input.array else { throw failure(.invalidType, "must be a string", "body.input") }
    if array.count == 1, let text = array[0].string { return text }
    if array.contains(where: { $0.integer != nil || $0.array != nil }) {
      throw failure(.unsupportedInput, "token ids are not taken; send the text", "body.input")
    }
    throw failure(.unsupportedInput, "one text a line; write a line for each", "body.input")
  }

  private func encoding(_ body: JSONObject) throws(InputLineError) -> EmbeddingEncoding {
    guard body["encoding_format"] != nil else { return .base64 }
    let name = try string("encoding_format", in: body, "body.encoding_format")
    guard let encoding = EmbeddingEncoding(rawValue: name) else {
      throw failure(.invalidValue, "must be base64 or float", "body.encoding_format")
    }
    return encoding
  }

  private func dimensions(_ body: JSONObject) throws(InputLineError) -> Int? {
    guard let value = body["dimensions"] else { return nil }
    guard let dimensions = value.integer, (1...65536).contains(dimensions) else {
      throw failure(.invalidValue, "must be a positive integer", "body.dimensions")
    }
    return dimensions
  }

  func identifier(_ name: String) throws(InputLineError) -> String {
    let id = try string(name, in: object, name)
    guard (1...LineLimits.idBytes).contains(id.utf8.count) else {
      throw failure(.invalidValue, "must have 1 to \(LineLimits.idBytes) bytes", name)
    }
    return id
  }

  func string(_ name: String, in object: JSONObject, _ param: String) throws(InputLineError) -> String {
    guard let value = object[name] else { throw failure(.missingParameter, "is missing", param) }
    guard let string = value.string else {
      throw failure(.invalidType, "must be a string, not \(value.kind)", param)
    }
    return string
  }

  func allow(_ names: [String], in object: JSONObject, _ path: String) throws(InputLineError) {
    for member in object.members where !names.contains(member.name) {
      throw failure(.unknownParameter, "is not known here", path + member.name.prefix(64))
    }
  }

  func failure(_ code: InputLineError.Code, _ message: String, _ param: String) -> InputLineError {
    InputLineError(code: code, message: message, param: param, line: line, id: id)
  }
}
