/// Why a model is refused: which file, which part of it, and what is wrong there. Nothing of the weights is quoted.
package struct ModelError: Error, Equatable, CustomStringConvertible {
  /// The file's name within the model folder.
  package let file: String
  /// What is wrong, naming the tensor, member or line.
  package let reason: String

  package init(_ file: String, _ reason: String) {
    self.file = file
    self.reason = reason
  }

  package var description: String { "\(file): \(reason)" }

  /// A reason whose file the caller knows.
  struct Reason: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }
}
