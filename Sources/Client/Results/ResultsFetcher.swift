import Attestation
import Crypto
import Glibc
import ObjectStore
import SealedCrypto
import Wire

/// A job's receipt as the store has it, and what became of its examination.
package struct ExaminedReceipt {
  package let job: JobName
  /// COSE bytes.
  package let bytes: [UInt8]
  /// Line by line.
  package let verdict: ReceiptVerdict
  /// The ledger's entry; nil for another's job.
  package let entry: LedgerEntry?
  /// The opened results, where they were asked for, are there, and verified.
  package let results: OpenedResults?

  /// The receipt.
  ///
  /// - Throws: ``ClientError`` of kind `rejected` or `invalid` naming the first line that failed.
  package func verified() throws -> Attested<ReceiptClaims> {
    if let receipt = verdict.receipt { return receipt }
    let (question, reason) = verdict.failure.map { ($0.question.rawValue, $0.reason) } ?? ("statement", "not verified")
    let isEvidence = [.chain, .policy, .measurements, .keyBinding].contains(verdict.failure?.question)
    throw ClientError(
      isEvidence ? .rejected : .invalid, "the receipt does not verify: \(question): \(reason); nothing was written",
      remedy: "keep the file and do not use these results; ask what is running there", by: .operator_)
  }
}

/// Fetches receipts and results and judges them. Nothing of a result is given out before all of it verified.
package struct ResultsFetcher {
  private let store: (any ObjectStore)?
  private let home: ClientHome
  private let profile: TrustProfile
  private let ledger: Ledger

  /// - Parameter store: nil judges receipts from files alone.
  package init(home: ClientHome, profile: TrustProfile, store: (any ObjectStore)?) {
    self.store = store
    self.home = home
    self.profile = profile
    ledger = Ledger(home: home)
  }

  /// Judges a receipt's bytes alone.
  ///
  /// - Parameter job: the job that it shall be of; nil takes the job that it names.
  package func examine(receipt bytes: [UInt8], job: JobName?) throws -> ExaminedReceipt {
    let named = try? UnverifiedStatement<ReceiptClaims>(bytes).signedByItsOwnKey().signed.claims.bundle
    guard let job = job ?? named else {
      throw ClientError(.invalid, "this is no receipt", remedy: "name a receipt's file or a job")
    }
    let entry = try entry(job)
    let verdict = try check().verdict(bytes, expecting: Self.expectation(job, entry))
    return ExaminedReceipt(job: job, bytes: bytes, verdict: verdict, entry: entry, results: nil)
  }

  /// Fetches a job's receipt and its sealed files, opens them where `identities` can, and judges everything.
  ///
  /// - Parameters:
  ///   - identities: empty to compare the sealed files' digests only.
  ///   - downloading: false judges the receipt alone; the lines on files and items then say that they were not checked.
  ///   - progress: bytes downloaded.
  /// - Throws: ``ClientError``: `retryable` while there is no receipt, `invalid` where files or lines are not those of
  ///   the receipt; what the store throws. A receipt that does not verify is no throw: the verdict says it.
  package func examine(
    _ job: JobName, identities: [HybridIdentity], nowMs: UInt64, downloading: Bool = true,
    progress: (UInt64) -> Void = { _ in }
  ) throws -> ExaminedReceipt {
    guard let store else { throw ClientError(.usage, "no store is set", remedy: "pass --store") }
    let entry = try entry(job)
    guard let commit = try Watcher(store: store).commit(job) else { throw try notReady(job, store) }
    let bytes = try store.getSmall(try ObjectKey(StoreLayout.receipt(job, attempt: commit.attempt)))
    guard SHA256.digest(of: bytes) == commit.receipt else {
      throw ClientError(
        .invalid, "the receipt of job \(job.hex.prefix(12)) is not the one that was committed",
        remedy: "restore it, or find out who changed it", by: .operator_)
    }
    // An unknown policy may simply be newer than ours; only one that verifies and is no rollback is taken.
    _ = try? TrustStore(home: home).policies(profile).refresh(from: store, nowMs: nowMs)
    var expectation = Self.expectation(job, entry)
    let alone = try check().verdict(bytes, expecting: expectation)
    guard downloading, let receipt = alone.receipt, let receiptJob = receipt.claims.job else {
      if alone.isVerified, let entry { ledger.releaseBundle(entry) }
      return ExaminedReceipt(job: job, bytes: bytes, verdict: alone, entry: entry, results: nil)
    }
    let downloaded = try download(job, commit.attempt, receiptJob.files, store, progress)
    expectation.files = downloaded.found
    let sealed = try check().verdict(bytes, expecting: expectation)
    if sealed.isVerified, let entry { ledger.releaseBundle(entry) }
    guard sealed.isVerified, !identities.isEmpty else {
      return ExaminedReceipt(job: job, bytes: bytes, verdict: sealed, entry: entry, results: nil)
    }
    let results = try open(downloaded, receipt, identities)
    expectation.items = results.recomputed
    let verdict = try check().verdict(bytes, expecting: expectation)
    return ExaminedReceipt(
      job: job, bytes: bytes, verdict: verdict, entry: entry, results: verdict.isVerified ? results : nil)
  }

  private func open(
    _ downloaded: DownloadedFiles, _ receipt: Attested<ReceiptClaims>, _ identities: [HybridIdentity]
  ) throws -> OpenedResults {
    let policy = try TrustStore(home: home).policies(profile).accepted(receipt.claims.policyDigest)
    let results: OpenedResults
    do {
      results = try OpenedResults(
        downloaded, receipt.claims, identities: identities, submitters: policy.claims.submitters.map(\.key))
    } catch let error as ClientError {
      throw error
    } catch let error as AgeError where error.kind == .noMatch {
      throw ClientError(
        .invalid, "the results are not sealed to your identity",
        remedy: "use the home of the user who submitted the job")
    } catch {
      throw ClientError(
        .invalid, "the results cannot be opened: \(error)",
        remedy: "fetch them again; if it stays so, keep the receipt and ask",
        by: .operator_)
    }
    // The worker refuses a manifest that knows a newer policy than its own; a receipt that says otherwise is false.
    guard results.manifest.claims.policyVersion <= receipt.claims.policyVersion else {
      throw ClientError(
        .rejected,
        "the job ran under policy \(receipt.claims.policyVersion), older than the one that it was submitted under",
        remedy: "find out why an old policy is in use", by: .operator_)
    }
    return results
  }

  /// The ledger's entry. A job is judged under the profile that it was sealed under and no other: under another one, what
  /// the user was shown then would not be what is proven now.
  private func entry(_ job: JobName) throws -> LedgerEntry? {
    guard let entry = try ledger.entry(job) else { return nil }
    guard entry.record.profile == profile.name else {
      throw ClientError(
        .rejected,
        "job \(job.hex.prefix(12)) was sealed under the trust profile \(entry.record.profile), not \(profile.name)",
        remedy: "pass --profile \(entry.record.profile)")
    }
    return entry
  }

  private func check() throws -> ReceiptCheck {
    ReceiptCheck(verifier: profile.verifier, policies: try TrustStore(home: home).policies(profile).all())
  }

  private static func expectation(_ job: JobName, _ entry: LedgerEntry?) -> ReceiptExpectation {
    ReceiptExpectation(
      job: job, manifest: entry?.record.manifest, model: entry?.record.model,
      minimumPolicyVersion: entry?.record.policyVersion)
  }

  private func notReady(_ job: JobName, _ store: any ObjectStore) throws -> ClientError {
    let statement = try? Watcher(store: store).hostStatement(job)
    return ClientError(
      .retryable, "job \(job.hex.prefix(12)) has no receipt yet; the host says: \(statement?.state ?? "nothing")",
      remedy: "wait for it with `ephemeral watch \(job.hex.prefix(12))`")
  }

  /// Each file goes, still sealed, into a file without a name; reading stops at the size that the receipt names.
  private func download(
    _ job: JobName, _ attempt: Int64, _ expected: [ReceiptFile], _ store: any ObjectStore, _ progress: (UInt64) -> Void
  ) throws -> DownloadedFiles {
    var files: [ResultFile: OpenedFile] = [:]
    var found: [ReceiptFile] = []
    var total: UInt64 = 0
    try PrivateFiles.makeDirectory(home.ledgerPath)
    for file in expected {
      let path = "\(home.ledgerPath)/.results-\(Hex.encode(Random.bytes(8)))"
      let spool = try OpenedFile(creating: path)
      unlink(path)
      let sink = DigestingSink(spool)
      let source = try store.read(try ObjectKey(StoreLayout.result(job, attempt: attempt, file.file)))
      while sink.count <= file.size {
        let piece = try source.read(upTo: 1 << 18)
        if piece.isEmpty { break }
        try sink.write(piece)
        total += UInt64(piece.count)
        progress(total)
      }
      files[file.file] = spool
      found.append(ReceiptFile(file: file.file, size: sink.count, sha256: sink.digest))
    }
    return DownloadedFiles(files: files, found: found)
  }
}
