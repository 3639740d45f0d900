/// Why an input line is refused, as OpenAI's batch errors say it: code, message, parameter, line.
package struct InputLineError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What a caller may branch on; written as it stands.
  package enum Code: String, Sendable, CaseIterable {
    case lineTooLong = "line_too_long"
    case invalidUTF8 = "invalid_utf8"
    case invalidJSON = "invalid_json"
    case missingParameter = "missing_parameter"
    case invalidType = "invalid_type"
    case invalidValue = "invalid_value"
    case unknownParameter = "unknown_parameter"
    case unsupportedURL = "unsupported_url"
    case unsupportedInput = "unsupported_input"
    case duplicateID = "duplicate_id"
    case contextLengthExceeded = "context_length_exceeded"
  }

  package let code: Code
  /// For people. Never quotes the document.
  package let message: String
  /// The member at fault, such as `body.input`.
  package let param: String?
  /// From 1.
  package let line: Int
  /// The line's id, as far as it could be read.
  package let id: String?

  package init(code: Code, message: String, param: String? = nil, line: Int, id: String? = nil) {
    self.code = code
    self.message = message
    self.param = param
    self.line = line
    self.id = id
  }

  package var description: String { "line \(line): \(param.map { "\($0): " } ?? "")\(message) (\(code.rawValue))" }
}
