import Inference

/// What a model is asked about each document of a folder, or each line of `{"id","text"}`.
package struct DocumentTask: Sendable, Equatable {
  /// Who says the instruction.
  package enum Role: String, Sendable, CaseIterable {
    /// A message of its own before the document: the model's training keeps it above what a document says.
    case system
    /// The document's own message, before its text: for models whose template knows no system.
    case user
  }

  /// What is to be done with the document.
  package var instruction: String
  package var role = Role.system
  /// The schema that the answer's JSON is held to; nil for any text.
  package var schema: JSONValue?
  /// 0 takes the most likely token.
  package var temperature = 0.0

  package init(instruction: String) { self.instruction = instruction }

  /// Bytes of an instruction or a schema at most.
  private static let fileBytes = 64 << 10

  /// Reads instruction and schema from files. Blanks around the instruction do not count.
  ///
  /// - Throws: ``ClientError`` of kind `notFound` for a file that is not there, `input` for one that cannot be read, is too
  ///   large or no text, or whose schema cannot be held to.
  package init(instructionFile: String, schemaFile: String?, role: Role, temperature: Double) throws {
    let text = String(validating: try Self.bytes(of: instructionFile), as: UTF8.self)
    guard let text = text.map(Self.trimmed), !text.isEmpty else {
      throw ClientError(.input, "\(instructionFile) holds no text", remedy: "write what is to be done into it")
    }
    self.init(instruction: text)
    (self.role, self.temperature) = (role, temperature)
    guard let schemaFile else { return }
    do {
      let limits = JSONLimits(bytes: Self.fileBytes, depth: 48, values: 10_000)
      let schema = try JSONValue(parsing: try Self.bytes(of: schemaFile), limits: limits)
      // Compiled without a vocabulary, to see whether it can be held to.
      _ = try JSONConstraintSource(schema: schema, prefixes: TokenPrefixes(TokenBytes([])))
      self.schema = schema
    } catch let error as JSONError {
      throw ClientError(.input, "\(schemaFile): \(error)", remedy: "write a JSON schema into it")
    } catch let error as SchemaError {
      throw ClientError(.input, "\(schemaFile): \(error)", remedy: "see docs/generation.md for what can be held to")
    }
  }

  private static func bytes(of path: String) throws -> [UInt8] {
    do {
      if let bytes = try PrivateFiles.readIfPresent(path, limit: fileBytes) { return bytes }
    } catch let error as ClientError {
      throw ClientError(.input, error.reason, remedy: error.remedy)
    }
    throw ClientError(.notFound, "there is no \(path)", remedy: "check the name")
  }

  /// What else has to be as it was, so that the same lines are made again of documents; it goes on with a remedy.
  static func reminder(_ operation: ModelOperation) -> String {
    operation == .generate
      ? "; with --instruction, --schema, --instruction-role and --temperature as they were then, if they were" : ""
  }

  private static func trimmed(_ text: String) -> String {
    let isBlank = { (scalar: Unicode.Scalar) in scalar.properties.isWhitespace }
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: { !isBlank($0) }), let last = scalars.lastIndex(where: { !isBlank($0) })
    else { return "" }
    return String(scalars[first...last])
  }

  /// The OpenAI batch line of a document, without its newline.
  func line(id: String, text: String, model: String) -> [UInt8] {
    let messages =
      switch role {
      case .system: [ChatMessage(role: "system", content: instruction), ChatMessage(role: "user", content: text)]
      case .user: [ChatMessage(role: "user", content: instruction + "\n\n" + text)]
      }
    return GenerationItem.line(
      id: id, model: model, messages: messages, temperature: temperature, schema: schema)
  }
}

/// How the pieces of an input become a job's lines: the same in every pass, and when an auditor makes them again.
package struct LinePlan: Sendable, Equatable {
  /// What is computed.
  package var operation: ModelOperation
  /// What is asked about each document; nil where the lines themselves say it, or where nothing is to be said.
  package var task: DocumentTask?
  /// The model's name, for lines that are made of documents.
  package var model: String

  package init(operation: ModelOperation = .embed, task: DocumentTask? = nil, model: String = "") {
    (self.operation, self.task, self.model) = (operation, task, model)
  }

  /// The line of a document, without its newline.
  package func line(id: String, text: String) -> [UInt8] {
    task?.line(id: id, text: text, model: model) ?? InputItem.idTextLine(id: id, text: text)
  }
}
