import SealedCrypto
import Wire

/// One job, from its first byte to its receipt.
struct JobRun {
  let enclave: Enclave
  let settings: Settings
  let epochs: Epochs
  let models: ModelCache
  let link: JobLink
  /// The host's word; it goes into the receipt as that.
  let attempt: UInt64

  private var policy: PolicyClaims { settings.policy.claims }

  /// The whole job. A refusal or failure ends in a receipt like a success; only what leaves the job undecided throws.
  ///
  /// - Throws: ``WorkerFault`` with `retry`, ``SecurityModuleError``, ``HostLost``: there is no receipt then.
  func run() throws {
    let startedMs = try enclave.milliseconds()
    if let reason = SystemClock.disagreement(withModuleMs: startedMs) { throw WorkerFault.retry(reason) }
    let sealed = SealedBundle(from: link)
    var verdict: Verdict
    do {
      let bundle = try OpenedBundle(sealed, epochs: epochs.all)
      let order = try JobOrder(bundle.manifest, under: policy)
      // Not the time of the start: a host that hands the bundle over byte by byte must not stretch any limit.
      let now = try enclave.milliseconds()
      guard now <= policy.notAfterMs else { throw WorkerFault.retry("the policy has ended") }
      verdict = try carryOut(order, bundle, atMs: now)
    } catch let fault as WorkerFault where fault.code != .retry {
      verdict = Verdict(fault: fault, job: nil)
    }
    let name = try sealed.digestToEnd()
    let receipt = try enclave.sign(receipt(verdict, bundle: name, startedMs: startedMs))
    try link.end(verdict.code, receipt: receipt.bytes)
  }

  /// From a manifest that verified to sealed results. From here on every reason stands in them, for the recipients
  /// alone.
  private func carryOut(_ order: JobOrder, _ bundle: OpenedBundle, atMs now: UInt64) throws -> Verdict {
    try link.progress(done: 0)
    let results = try ResultFiles(order, to: link)
    var fault: WorkerFault?
    var precision = order.manifest.claims.precision
    do {
      try order.authorise(under: policy, epoch: bundle.epoch, inputBytes: bundle.inputBytes, atMs: now)
      let model = try models.load(for: order, under: settings, in: enclave, from: link)
      defer { model.model.wipe() }
      precision = model.model.precision.rawValue
      let items = InputItems(bundle, order.manifest.claims)
      try computer(model, order.manifest.claims).compute(items, into: results, telling: link)
      try items.finish()
    } catch let error as WorkerFault where error.code != .retry {
      fault = error
    }
    let job = try results.finish(fault: fault?.detail, precision: precision)
    return Verdict(fault: fault, job: job)
  }

  private func computer(_ loaded: LoadedModel, _ claims: JobManifestClaims) throws -> any ItemComputer {
    switch loaded.model {
    case .encoder(let model): try WindowComputer(model, name: loaded.name, claims: claims)
    case .decoder(let model):
      try TextComputer(
        model, name: loaded.name, claims: claims, limits: try models.generatorLimits(for: loaded, model))
    }
  }

  private func receipt(_ verdict: Verdict, bundle: JobName, startedMs: UInt64) throws -> ReceiptClaims {
    ReceiptClaims(
      outcome: verdict.outcome, code: verdict.code, bundle: bundle, job: verdict.job, policyVersion: policy.version,
      policyDigest: settings.policy.digest, startedMs: startedMs, endedMs: max(startedMs, try enclave.milliseconds()),
      software: Enclave.software, attempt: attempt, key: enclave.key)
  }
}

/// How a job ended, as its receipt says it.
struct Verdict {
  let outcome: JobOutcome
  var code: OutwardCode { outcome.code }
  /// Nil where the manifest did not verify.
  let job: ReceiptJob?

  init(fault: WorkerFault?, job: ReceiptJob?) {
    self.job = job
    switch (fault?.code, job) {
    case (.refused, _): outcome = .refused
    case (nil, let job?) where job.failedItems == 0: outcome = .completed
    case (nil, let job?) where job.failedItems < job.items: outcome = .partial
    default: outcome = .failed
    }
  }
}
