import ArgumentParser
import Attestation
import Client
import Glibc
import Inference
import ObjectStore
import Queue
import SealedCrypto
import Wire

/// `ephemeral submit`.
struct SubmitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit", abstract: "Check, seal and upload documents as one job.",
    discussion: """
      INPUT is a folder of text files (read recursively; what is not text is left out with a count), a JSON Lines file
      (OpenAI batch lines, or {"id": …, "text": …}, with a "text_pair" where a pair is meant), or - for JSON Lines from a
      pipe. Every line is checked before anything is sealed; nothing is uploaded when one is wrong, unless --skip-invalid.
      The enclave's announcement is verified before a byte is sealed to it.

      A model that makes texts is asked by OpenAI's lines for /v1/chat/completions and /v1/completions, or about each
      document by --instruction, a file, since what is asked may be as secret as the documents are.

      Standard output carries the job's name alone; everything else goes to standard error.

      Examples:
        ephemeral submit reports/ --wait
        ephemeral submit batch.jsonl --dry-run
        JOB=$(ephemeral submit - < batch.jsonl)
        ephemeral submit new/ --schedule nightly --allow-empty
        ephemeral submit pairs.jsonl --operation score --model reranker
        ephemeral submit reports/ --model llama --instruction summarise.txt --schema summary.json
      """)

  @Argument(
    help: "A folder, a JSON Lines file, or -. Without it, only uploads that are still due are made.",
    completion: .file())
  var input: String?
  @OptionGroup var options: ClientOptions
  @OptionGroup var submission: SubmissionOptions
  @Option(help: ArgumentHelp("Leave the job for a schedule's next run.", valueName: "name"))
  var schedule: String?
  @Option(
    help: ArgumentHelp("Whose numbers the job takes (default: the schedule's name, or `default`).", valueName: "name"))
  var stream: String?
  @Flag(help: "Check everything, seal and upload nothing.")
  var dryRun = false
  @Flag(help: "Leave out what is wrong and send the rest; the exit code is then 3.")
  var skipInvalid = false
  @Flag(help: "Refuse inputs that are longer than the model reads, instead of having their end cut off.")
  var refuseLong = false
  @Flag(help: "Send a job without items: it records that there was nothing new.")
  var allowEmpty = false
  @Flag(help: "Wait for the receipt, verify it, and end with the job's outcome.")
  var wait = false
  @Option(help: ArgumentHelp("With --wait: give up after so long (exit code 6).", valueName: "seconds"))
  var waitTimeout: Int?
  @Option(
    help: ArgumentHelp("Do this once: a second submit with the same key gives the first one's job.", valueName: "key"),
    completion: .file())
  var idempotencyKey: String?

  func validate() throws {
    if let waitTimeout, waitTimeout < 0 { throw ValidationError("--wait-timeout takes seconds.") }
    if let schedule, !QueueFolder.isLegal(schedule) {
      throw ValidationError(QueueFolder.rule)
    }
  }

  func run() throws {
    let context = try options.context(model: submission.model, precision: submission.precision)
    let profile = try context.profile()
    let store = try context.store()
    let submitter = Submitter(home: context.home, profile: profile, store: store)
    let screen = context.screen
    var refusal: ClientError?
    let pending = try submitter.uploadPending(nowMs: Timestamps.nowMs()) { entry, error in
      screen.refusedPending(entry, error)
      refusal = error
    }
    for entry in pending {
      screen.stage("uploaded", "job \(entry.record.job.hex.prefix(12)), which an earlier command had sealed")
    }
    guard let input else {
      if let refusal { throw refusal }
      if pending.isEmpty { screen.note("no INPUT, and no upload is due") }
      return
    }
    // Saves reading the input again; the ledger itself looks once more when it takes the number.
    if let key = idempotencyKey,
      let entry = try Ledger(home: context.home).entry(
        idempotencyKey: key, profile: profile.name, store: store.location)
    {
      screen.stage("job", "was submitted before under this key")
      return try finish(entry, context, profile, store, leftOut: 0)
    }

    let request = try request(context.settings)
    let prepared = try submitter.prepare(
      try InputArgument.open(input, context.home), request, nowMs: Timestamps.nowMs(),
      progress: { screen.progress("reading: \(Shown.number($0))") },
      report: { InputReport(screen: screen, name: input).show($0) })
    PreparedReport(screen: screen).show(prepared)
    if dryRun {
      screen.stage("dry run", "all is well; nothing was sealed and nothing uploaded")
      screen.line(.object([("event", .text("dry-run")), ("items", .unsigned(prepared.survey.items))]))
      throw ExitCode(prepared.survey.problemCount > 0 ? ExitStatus.partial.rawValue : 0)
    }
    let entry = try submitter.seal(prepared, nowMs: Timestamps.nowMs())
    screen.stage(
      "sealed",
      "\(Shown.bytes(entry.record.bundleBytes)), number \(entry.record.stream.sequence) of stream \(entry.record.stream.name)"
    )
    try submitter.upload(entry, nowMs: Timestamps.nowMs()) {
      screen.progress("uploading: \(Shown.bytes($0)) of \(Shown.bytes(entry.record.bundleBytes))")
    }
    screen.stage("uploaded", "\(store.location)/\(StoreLayout.bundle(entry.record.job, queue: entry.record.queue))")
    try finish(entry, context, profile, store, leftOut: prepared.survey.problemCount)
  }

  private func request(_ settings: ClientSettings) throws -> SubmissionRequest {
    var request = try submission.request(settings)
    request.queue = schedule ?? "default"
    request.stream = stream
    request.skipInvalid = skipInvalid
    request.refuseLong = refuseLong
    request.allowEmpty = allowEmpty
    request.idempotencyKey = idempotencyKey
    return request
  }

  private func finish(
    _ entry: LedgerEntry, _ context: ClientContext, _ profile: TrustProfile, _ store: any ObjectStore, leftOut: UInt64
  ) throws {
    let (screen, record) = (context.screen, entry.record)
    screen.line(
      .object([
        ("event", .text("submitted")), ("job", .text(record.job.hex)), ("manifest", .text(record.manifest.hex)),
        ("stream", .text(record.stream.name)), ("sequence", .unsigned(record.stream.sequence)),
        ("items", .unsigned(record.inputItems)), ("left_out", .unsigned(leftOut)), ("store", .text(record.store)),
        ("evidence_class", .text(profile.evidenceClass.rawValue)),
      ]))
    screen.out(record.job.hex)
    if wait {
      let outcome = try JobFollower(context: context, profile: profile, store: store)
        .follow(
          record.job, timeoutSeconds: waitTimeout, items: record.inputItems, verdictOnStandardOutput: false)
      if leftOut > 0 { screen.note("\(Shown.count(leftOut, "item")) left out of the job: wrong in the input") }
      if outcome != .done { throw ExitCode(outcome.rawValue) }
    } else {
      screen.stage("next", "ephemeral watch \(record.job.hex.prefix(12))")
    }
    if leftOut > 0 { throw ExitCode(ExitStatus.partial.rawValue) }
  }
}

/// The inbox folders that a client may name.
enum QueueFolder {
  /// What the daemon takes as a queue's name; a job in another folder would never be looked at.
  static func isLegal(_ name: String) -> Bool { QueueName(name) != nil }

  /// What a refusal of `--schedule` says.
  static let rule =
    "--schedule takes a name of 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit, and not `cancel`."

  /// A tenant's folder, checked for the same reason.
  static func tenant(_ name: String?) throws -> String? {
    guard let name, TenantName(name) == nil else { return name }
    throw ClientError(
      .usage, "\(name) is no tenant's name",
      remedy: "give 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit, as the host's operator told you")
  }
}

/// What INPUT names.
enum InputArgument {
  static func open(_ input: String, _ home: ClientHome) throws -> any InputOrigin {
    if input == "-" {
      let source = OpenedFile(descriptor: dup(STDIN_FILENO), path: "standard input")
      return try SealedSpool(source, name: "standard input", directory: home.ledgerPath)
    }
    var status = stat()
    guard stat(input, &status) == 0 else {
      throw ClientError(.notFound, "there is no \(input)", remedy: "name a folder, a .jsonl file, or -")
    }
    return status.st_mode & S_IFMT == S_IFDIR ? TextFolder(path: input) : JSONLFile(path: input)
  }
}
