import ArgumentParser
import Client
import Inference

extension DocumentTask.Role: ExpressibleByArgument {}

/// The flags that say what a model is asked about each document. They make the lines that are sealed, so whoever makes
/// these lines again names the same.
struct TaskOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "For models that make texts: what is asked about each document, a text file.", valueName: "file"),
    completion: .file())
  var instruction: String?
  @Option(
    help: ArgumentHelp("With --instruction: a JSON schema that the answers are held to.", valueName: "file"),
    completion: .file())
  var schema: String?
  @Option(
    help: ArgumentHelp(
      "With --instruction: system, a message of its own, or user, before the document's text, for models without one.",
      valueName: "role"))
  var instructionRole: DocumentTask.Role = .system
  @Option(
    help: ArgumentHelp(
      "With --instruction: from 0, the likeliest token each time, to 2, drawn more freely.", valueName: "number"))
  var temperature: Double = 0

  func validate() throws {
    guard (0...2).contains(temperature) else { throw ValidationError("--temperature takes 0 to 2.") }
    guard instruction != nil || (schema == nil && temperature == 0 && instructionRole == .system) else {
      throw ValidationError("--schema, --temperature and --instruction-role go with --instruction.")
    }
  }

  /// Nil without an instruction.
  ///
  /// - Throws: ``ClientError`` of kind `input` for a file that is no text, or no schema.
  func task() throws -> DocumentTask? {
    guard let instruction else { return nil }
    return try DocumentTask(
      instructionFile: instruction, schemaFile: schema, role: instructionRole, temperature: temperature)
  }
}
