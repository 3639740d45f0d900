import ArgumentParser
import Client
import Inference
import SealedCrypto

/// The flags of `submit` and `sync` that say what is computed, for whom, and until when.
struct SubmissionOptions: ParsableArguments {
  @Option(help: "Name or digest of the model (default: the only one that the policy allows you).")
  var model: String?
  @Option(
    help: ArgumentHelp(
      "What to compute: embed, classify, score (of pairs: submit alone), or generate (default: what the model does).",
      valueName: "operation"))
  var operation: ModelOperation?
  @Option(
    help: ArgumentHelp(
      "Which of the model's prompts stands before each text (default: the model's).", valueName: "name"))
  var prompt: String?
  @Option(
    help: ArgumentHelp(
      "fp32, bf16, int8, or auto: int8 where the accuracy check passed, else bf16 (default: fp32; of GGUF bf16).",
      valueName: "precision"))
  var precision: String?
  @Option(
    help: ArgumentHelp(
      "Your folder of the host's inbox, where each of its users has one (default: none).", valueName: "name"))
  var tenant: String?
  @Option(
    help: ArgumentHelp("Who can open the results beside you (age1pq1…); may be repeated.", valueName: "recipient"))
  var recipient: [String] = []
  @OptionGroup var task: TaskOptions
  @Option(
    help: ArgumentHelp(
      """
      For models that make texts: tokens of an answer at most, where a line does not say it. \
      \(GenerationComputer.Settings.defaultMaximumTokens) unless said.
      """, valueName: "count"))
  var maxTokens: Int?
  @Option(
    help: ArgumentHelp("For models that make texts: the seed of what is drawn.", valueName: "number"))
  var seed: UInt64 = 0
  @Option(help: ArgumentHelp("How long a job may begin to run.", valueName: "hours"))
  var validFor: Int = 168

  func validate() throws {
    guard (1...8760).contains(validFor) else { throw ValidationError("--valid-for takes 1 to 8760 hours.") }
    let most = Int(JobManifestClaims.outputTokensLimit)
    guard maxTokens.map((1...most).contains) != false else { throw ValidationError("--max-tokens takes 1 to \(most).") }
  }

  /// What they ask for; the caller names queue and stream.
  ///
  /// - Throws: ``ClientError`` of kind `usage` for a tenant or recipient that is none.
  func request(_ settings: ClientSettings) throws -> SubmissionRequest {
    var request = SubmissionRequest()
    request.model = settings.model
    request.operation = operation
    request.prompt = prompt
    request.task = try task.task()
    (request.maximumOutputTokens, request.seed) = (maxTokens.map { UInt64($0) }, seed)
    if let precision = settings.precision { request.precision = precision }
    request.tenant = try QueueFolder.tenant(tenant ?? settings.tenant)
    request.validForMs = UInt64(validFor) * 3_600_000
    request.recipients = try recipient.map(RecipientArgument.parse)
    return request
  }
}

/// `--recipient`.
enum RecipientArgument {
  /// - Throws: ``ClientError`` of kind `usage`.
  static func parse(_ text: String) throws -> HybridRecipient {
    do {
      return try HybridRecipient(text)
    } catch {
      throw ClientError(
        .usage, "a --recipient is not usable: \(error)", remedy: "give age1pq1…, as `age-keygen -pq` prints it")
    }
  }
}

extension ModelOperation: ExpressibleByArgument {}
