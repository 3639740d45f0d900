/// Why a chat template is refused, or why it could not render a conversation.
package struct TemplateError: Error, Equatable, CustomStringConvertible {
  /// What a caller may branch on.
  package enum Kind: Sendable, Equatable {
    /// The template is not of the subset that is read, or malformed: it is refused before any conversation.
    case syntax
    /// A limit of ``TemplateLimits`` was passed.
    case limit
    /// An operation that the values do not allow, such as adding a number to a text.
    case evaluation
    /// The template itself refused the conversation, by `raise_exception`.
    case raised
  }

  package let kind: Kind
  /// For people. The words of `raise_exception` are the template's, and may quote the conversation.
  package let reason: String
  /// Line of the template, from 1; 0 where none is at fault.
  package let line: Int

  init(_ kind: Kind, _ reason: String, line: Int = 0) {
    self.kind = kind
    self.reason = reason
    self.line = line
  }

  /// The same, at a line, unless the error has one already.
  func at(_ line: Int) -> TemplateError { self.line > 0 ? self : TemplateError(kind, reason, line: line) }

  package var description: String { "chat template\(line > 0 ? ", line \(line)" : ""): \(reason)" }
}

/// How much a chat template may ask for. A template comes with the model, whose publisher is trusted with what the model
/// says but not with the worker's memory and time.
package struct TemplateLimits: Sendable {
  /// Bytes of the template's text.
  package var sourceBytes = 256 << 10
  /// Blocks and expressions inside one another, as written.
  package var nesting = 48
  /// Blocks, expressions and macro calls inside one another, as run.
  package var depth = 160
  /// Steps: one for each node that is evaluated, and one for each 16 bytes that an operation reads or makes.
  package var steps = 20_000_000
  /// Bytes of all values made on the way.
  package var valueBytes = 128 << 20
  /// Bytes of the rendered text.
  package var outputBytes = 8 << 20
  /// Lists and dictionaries inside one another.
  package var valueDepth = 32

  package init() {}
}
