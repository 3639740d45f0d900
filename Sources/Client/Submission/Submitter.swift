import Attestation
import Inference
import ObjectStore
import SealedCrypto
import Wire

/// What a job shall be, apart from its input.
package struct SubmissionRequest: Sendable {
  /// Name or digest of a model; nil takes the only one that the policy allows.
  package var model: String?
  /// Nil takes what the model does.
  package var operation: ModelOperation?
  /// What a model that makes texts is asked about each document; nil where lines say it themselves.
  package var task: DocumentTask?
  /// Decides with an item's name what is drawn, for lines that do not say a seed of their own.
  package var seed: UInt64 = 0
  /// Tokens of a made text at most, for lines that do not say so; nil for the usual number, and for a model that makes
  /// none.
  package var maximumOutputTokens: UInt64?
  /// Name of the model's prompt to put before each text; nil for the model's default.
  package var prompt: String?
  /// `base64` or `float`, for input lines that do not say.
  package var encoding = "base64"
  /// One of ``JobPrecision/requested``; nil for the model's usual one.
  package var precision: String?
  /// `default`, or a schedule's name: the job waits for its run.
  package var queue = "default"
  /// The folder of the queue's inbox that it goes to, where the host gives each of its users one.
  package var tenant: String?
  /// Whose numbers the job takes; nil for the queue's name.
  package var stream: String?
  /// How long a worker may begin it.
  package var validForMs: UInt64 = 7 * 24 * 3_600_000
  /// Seal what is right although something is wrong.
  package var skipInvalid = false
  /// Refuse items whose end would be cut off.
  package var refuseLong = false
  /// Seal a job without items: a night with nothing new.
  package var allowEmpty = false
  package var idempotencyKey: String?
  /// Recipients beside the user and those that the policy demands.
  package var recipients: [HybridRecipient] = []

  package init() {}

  /// The folder under `inbox/`.
  var folder: String { tenant.map { "\(queue)/\($0)" } ?? queue }
}

/// Everything that stands before a byte is sealed: verified policy, submitter, model, sealing key, surveyed input.
package struct PreparedSubmission {
  package let request: SubmissionRequest
  package let policy: TrustedPolicy
  package let announcement: AcceptedAnnouncement
  package let model: PublishedModel
  /// What is computed, and of which lines.
  package let plan: LinePlan
  /// What the worker will compute in, `auto` resolved as it will resolve it under this policy.
  package let precision: String
  package let submitter: PolicySubmitter
  package let origin: any InputOrigin
  package let survey: InputSurvey
  package let recipients: [HybridRecipient]
  /// What the manifest asks for.
  package var requestedPrecision: String { request.precision ?? model.claims.usualPrecision }
}

/// Turns documents into a sealed bundle in the store: prepare (nothing leaves), seal (into the ledger), upload.
package struct Submitter {
  let store: any ObjectStore
  let trust: TrustStore
  let profile: TrustProfile
  let keys: KeyRing
  private let ledger: Ledger

  package init(home: ClientHome, profile: TrustProfile, store: any ObjectStore) {
    self.store = store
    self.profile = profile
    trust = TrustStore(home: home)
    keys = home.keys
    ledger = Ledger(home: home)
  }

  /// Verifies all that has to hold, and judges the input. With errors in the input it throws, unless the request says to
  /// leave them out; the survey is handed to `report` first, so that every problem is shown.
  package func prepare(
    _ origin: any InputOrigin, _ request: SubmissionRequest, nowMs: UInt64,
    progress: (UInt64) -> Void = { _ in }, report: (InputSurvey) -> Void = { _ in }
  ) throws -> PreparedSubmission {
    let standing = try standing(request, nowMs: nowMs)
    let (policy, submitter, model) = (standing.policy, standing.submitter, standing.model)
    let plan = LinePlan(operation: standing.operation, task: request.task, model: model.claims.name)
    try Self.check(plan, request, origin.kind)
    let announcement = try trust.announcements(profile).refresh(from: store, policy: policy, nowMs: nowMs)
    let tokenizer = try tokenizer(of: model, policy, request, nowMs: nowMs)
    let surveyor = InputSurveyor(
      tokenizer: tokenizer, plan: plan, prompt: request.prompt, dimensions: Int(clamping: model.claims.dimensions),
      maximumItems: policy.claims.maximumItems, maximumBytes: policy.claims.maximumInputBytes)
    let survey = try surveyor.survey(origin, progress: progress)
    report(survey)
    try Self.judge(survey, request, origin.name)
    return PreparedSubmission(
      request: request, policy: policy, announcement: announcement, model: model, plan: plan,
      precision: standing.precision, submitter: submitter, origin: origin, survey: survey,
      recipients: try recipients(request, policy))
  }

  /// What counts tokens; nil where the model's tokenizer is not public.
  private func tokenizer(
    of model: PublishedModel, _ policy: TrustedPolicy, _ request: SubmissionRequest, nowMs: UInt64
  ) throws -> SurveyTokenizer? {
    let catalog = ModelCatalog(store: store, policy: policy)
    if model.claims.operations == [ModelOperation.generate.rawValue] {
      guard request.prompt == nil else {
        throw ClientError(
          .usage, "\(model.claims.name) has no prompts by name", remedy: "leave --prompt out; see --instruction")
      }
      return try catalog.prompts(of: model).map { .prompts($0, secondsSince1970: Int64(clamping: nowMs / 1000)) }
    }
    let tokenizer = try catalog.tokenizer(of: model)
    if let prompt = request.prompt, let names = tokenizer?.promptNames, !names.contains(prompt) {
      throw ClientError(
        .usage, "\(model.claims.name) has no prompt \(prompt.prefix(64))",
        remedy: names.isEmpty ? "leave --prompt out" : "choose one of \(names.joined(separator: ", "))")
    }
    return tokenizer.map { .texts($0) }
  }

  private static func judge(_ survey: InputSurvey, _ request: SubmissionRequest, _ name: String) throws {
    if survey.problemCount > 0, !request.skipInvalid {
      throw ClientError(
        .input,
        "\(name): \(survey.problemCount) of \(survey.items + survey.problemCount) items are wrong; nothing was uploaded",
        remedy: "mend them, or leave them out with --skip-invalid")
    }
    if survey.truncated > 0, request.refuseLong {
      throw ClientError(
        .input, "\(name): \(survey.truncated) items are longer than the model reads; nothing was uploaded",
        remedy: "shorten or split them, or submit without --refuse-long")
    }
    if survey.items == 0, !request.allowEmpty {
      throw ClientError(
        .input,
        "\(name): there is nothing to compute"
          + (survey.skipped.count > 0 ? " (\(survey.skipped.count) files left out)" : ""),
        remedy: "name documents, or pass --allow-empty to record a run with nothing new")
    }
  }

  private func recipients(_ request: SubmissionRequest, _ policy: TrustedPolicy) throws -> [HybridRecipient] {
    var recipients = [try keys.recipient()]
    let required = try policy.claims.recoveryRecipients.map { try HybridRecipient(publicKey: $0) }
    for recipient in request.recipients + required where !recipients.contains(recipient) {
      recipients.append(recipient)
    }
    guard recipients.count <= Limits.recipients else {
      throw ClientError(.usage, "\(recipients.count) recipients, at most \(Limits.recipients)", remedy: "name fewer")
    }
    return recipients
  }

  /// Seals a prepared job into the ledger: number, manifest and bundle appear there at once, before any upload. A job
  /// that has the request's idempotency key already is returned instead.
  ///
  /// - Parameter alongside: writes more files into the entry, which appear with it or not at all.
  /// - Throws: ``ClientError`` of kind `retryable` when the policy or the sealing key ended while the input was read.
  package func seal(
    _ prepared: PreparedSubmission, nowMs: UInt64,
    alongside: (_ position: StreamPosition, _ directory: String) throws -> Void = { _, _ in }
  ) throws -> LedgerEntry {
    // Reading the input may have taken hours, or waited for a pipe.
    guard nowMs < prepared.policy.claims.notAfterMs, nowMs < prepared.announcement.claims.notAfterMs else {
      throw ClientError(
        .retryable, "the policy or the sealing key ended while the input was read; nothing was sealed",
        remedy: "submit again")
    }
    let key = try keys.signingKey(.submitter)
    let sealingKey = try HybridRecipient(publicKey: prepared.announcement.claims.publicKey)
    let request = prepared.request
    return try ledger.add(
      stream: request.stream ?? request.queue, submitter: key.verifyingKey, profile: profile.name,
      once: request.idempotencyKey.map { ($0, store.location) }
    ) { position, directory in
      let claims = JobManifestClaims(
        prepared, sealingKey: sealingKey, position: position, nowMs: nowMs, salt: Random.bytes(32))
      let manifest = try Signed<JobManifestClaims>.sign(claims, with: key)
      let file = try OpenedFile(creating: "\(directory)/bundle.age")
      let sealed = try BundleSealer.seal(manifest, to: sealingKey, into: file) { sink in
        try InputEmitter.emit(prepared.origin, prepared.survey, prepared.plan, to: sink)
      }
      try file.sync()
      try PrivateFiles.write(manifest.bytes, to: "\(directory)/manifest.cose")
      try alongside(position, directory)
      return LedgerRecord(
        job: sealed.job, manifest: manifest.digest, bundleBytes: sealed.bytes, profile: profile.name,
        policyVersion: claims.policyVersion, store: store.location, queue: request.folder, stream: position,
        createdMs: nowMs, notAfterMs: claims.notAfterMs,
        epoch: prepared.announcement.claims.epoch, model: prepared.model.digest,
        operation: prepared.plan.operation.rawValue,
        inputFormat: prepared.survey.format, inputSHA256: prepared.survey.sha256, inputItems: prepared.survey.items,
        inputBytes: prepared.survey.bytes, source: prepared.origin.name, idempotencyKey: request.idempotencyKey)
    }
  }

  /// Uploads an entry's sealed bundle, always the same bytes; an entry that is uploaded already is left alone.
  ///
  /// - Throws: ``ClientError`` of kind `invalid` when the store has something else of that name; what the store throws.
  package func upload(_ entry: LedgerEntry, nowMs: UInt64, progress: (UInt64) -> Void = { _ in }) throws {
    try BundleUpload(ledger: ledger, store: store).upload(entry, nowMs: nowMs, progress: progress)
  }

  /// Uploads what earlier commands sealed and could not upload, so that no number stays without its bundle.
  ///
  /// - Parameter refused: told of each bundle that the store or its file does not let through; it stays pending, and
  ///   keeps nobody else waiting: a host could have planted something under its name.
  /// - Returns: those that were uploaded.
  /// - Throws: what the store throws, and what is worth another try.
  package func uploadPending(
    nowMs: UInt64, refused: (LedgerEntry, ClientError) -> Void
  ) throws -> [LedgerEntry] {
    try ledger.pending(store: store.location).filter { entry in
      do {
        try upload(entry, nowMs: nowMs)
        return true
      } catch let error as ClientError where error.kind == .invalid || error.kind == .notFound {
        refused(entry, error)
        return false
      }
    }
  }
}

extension JobManifestClaims {
  fileprivate init(
    _ prepared: PreparedSubmission, sealingKey: HybridRecipient, position: StreamPosition, nowMs: UInt64, salt: [UInt8]
  ) {
    let (survey, request) = (prepared.survey, prepared.request)
    self.init(
      policyVersion: prepared.policy.claims.version, sealingKey: sealingKey.digest, createdMs: nowMs,
      notAfterMs: nowMs + request.validForMs, salt: salt, operation: prepared.plan.operation.rawValue,
      prompt: request.prompt, encoding: request.encoding, seed: request.seed,
      maximumOutputTokens: prepared.plan.operation == .generate
        ? request.maximumOutputTokens ?? UInt64(GenerationComputer.Settings.defaultMaximumTokens) : nil,
      model: prepared.model.digest, precision: prepared.requestedPrecision, inputFormat: survey.format,
      inputSHA256: survey.sha256, inputItems: survey.items, inputBytes: survey.bytes,
      recipients: prepared.recipients.map(\.publicKey), stream: position)
  }
}
