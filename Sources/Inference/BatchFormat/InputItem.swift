/// One text, or one pair of texts, from one line of input.
package struct InputItem: Sendable, Equatable {
  /// The line's number, from 1.
  package let line: Int
  /// `custom_id` or `id`: names the item in the output.
  package let id: String
  /// The document.
  package let text: String
  /// The second text of a pair, such as the passage that may answer the query.
  package let pair: String?
  /// How the embedding is to be written; base64 unless the line says otherwise.
  package let encoding: EmbeddingEncoding
  /// The length of embedding that the line asks for, if any.
  package let dimensions: Int?
  /// The model that the line names, if any. What computes is the job manifest's model.
  package let model: String?

  package init(
    line: Int, id: String, text: String, pair: String? = nil, encoding: EmbeddingEncoding = .base64,
    dimensions: Int? = nil, model: String? = nil
  ) {
    self.line = line
    self.id = id
    self.text = text
    self.pair = pair
    self.encoding = encoding
    self.dimensions = dimensions
    self.model = model
  }

  /// Reads one line as the splitter gives it.
  package init(_ line: LineSplitter.Line, format: LineFormat) throws(InputLineError) {
    guard let bytes = line.bytes else {
      throw InputLineError(
        code: .lineTooLong, message: "longer than \(LineLimits.lineBytes) bytes", line: line.number)
    }
    try self.init(parsing: bytes, line: line.number, format: format)
  }

  /// Reads one line, without its newline, of the given format. Everything is checked; nothing unknown is passed over.
  package init(parsing bytes: [UInt8], line: Int, format: LineFormat) throws(InputLineError) {
    let reader = try InputLineReader(bytes, line: line, format: format)
    self = try reader.item()
  }

  /// Refuses an item that asks for another length of embedding than the model has.
  package func check(dimensions available: Int) throws(InputLineError) {
    guard dimensions ?? available == available else {
      throw InputLineError(
        code: .invalidValue, message: "the model gives embeddings of \(available) floats, and no other length",
        param: "body.dimensions", line: line, id: id)
    }
  }

  /// Refuses an item that the operation has no use for.
  package func check(_ operation: ModelOperation) throws(InputLineError) {
    guard operation != .embed else {
      guard pair == nil else {
        throw failure(.unsupportedInput, "one text has one embedding; a pair is for classify and score", "text_pair")
      }
      return
    }
    guard model == nil else {
      throw failure(.unsupportedURL, "\(operation.rawValue) takes lines of {\"id\", \"text\", \"text_pair\"}", "url")
    }
    guard operation != .score || pair != nil else {
      throw failure(.missingParameter, "is missing: a score is of a pair of texts", "text_pair")
    }
  }

  private func failure(_ code: InputLineError.Code, _ message: String, _ param: String) -> InputLineError {
    InputLineError(code: code, message: message, param: param, line: line, id: id)
  }

  /// The `{"id","text"}` line of a document, without its newline.
  package static func idTextLine(id: String, text: String) -> [UInt8] {
    var json = JSONText(reserving: text.utf8.count + id.utf8.count + 32)
    json.raw("{\"id\":")
    json.string(id)
    json.raw(",\"text\":")
    json.string(text)
    json.raw("}")
    return json.bytes
  }
}

extension LineFormat {
  /// The format of an input, told by the members of its first line.
  package static func detect(firstLine bytes: [UInt8]) throws(InputLineError) -> LineFormat {
    let object = try InputLineReader.object(bytes, line: 1)
    if object["custom_id"] != nil || object["body"] != nil { return .openAI }
    if object["id"] != nil || object["text"] != nil { return .idText }
    throw InputLineError(
      code: .missingParameter,
      message: "neither an OpenAI batch line (custom_id, method, url, body) nor {\"id\", \"text\"}",
      line: 1)
  }
}
