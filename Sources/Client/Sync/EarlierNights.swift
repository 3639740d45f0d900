import Attestation
import Crypto
import ObjectStore
import SealedCrypto
import Wire

/// An earlier job of a synced stream, and what has become of it.
package struct EarlierNight: Sendable {
  /// How it stands, worst last.
  package enum Standing: Sendable, Equatable {
    /// A receipt verified.
    case settled(SettledJob)
    /// No receipt yet; it may begin to run until its time is over.
    case waiting(hostSays: String)
    /// No receipt, and its time is over: missing until one turns up.
    case overdue(hostSays: String)
    /// There is a receipt, and it does not verify.
    case invalid(reason: String)
  }

  package let entry: LedgerEntry
  package let standing: Standing
  /// Whether it was settled before this command.
  package let isOld: Bool
  /// The folder into which its results were written now.
  package internal(set) var fetched: String?

  package var number: UInt64 { entry.record.stream.sequence }

  /// Whether its documents have no results and will have none of this job.
  package var isLost: Bool {
    switch standing {
    case .settled(let job): job.outcome == .failed || job.outcome == .refused
    case .overdue: true
    case .waiting, .invalid: false
    }
  }
}

/// Looks for the receipts of a stream's earlier jobs, verifies each once, and fetches results.
struct EarlierNights {
  let home: ClientHome
  let profile: TrustProfile
  let store: any ObjectStore

  /// Every job of the stream that went to this store, by number; those that were abandoned are void and left out.
  ///
  /// - Parameter recording: false writes nothing.
  /// - Throws: what the store throws, apart from what concerns one job.
  func examine(_ entries: [LedgerEntry], nowMs: UInt64, recording: Bool) throws -> [EarlierNight] {
    let own = entries.filter { $0.abandonedMs == nil && $0.record.store == store.location }
    return try own.map { entry in
      if let settled = try entry.settled() {
        return EarlierNight(entry: entry, standing: .settled(settled), isOld: true)
      }
      return EarlierNight(entry: entry, standing: try standing(of: entry, nowMs, recording), isOld: false)
    }
  }

  private func standing(of entry: LedgerEntry, _ nowMs: UInt64, _ recording: Bool) throws -> EarlierNight.Standing {
    do {
      guard try Watcher(store: store).commit(entry.record.job) != nil else {
        let word = try Watcher(store: store).hostStatement(entry.record.job)?.state ?? "nothing"
        return entry.record.notAfterMs > nowMs ? .waiting(hostSays: word) : .overdue(hostSays: word)
      }
      let examined = try ResultsFetcher(home: home, profile: profile, store: store)
        .examine(entry.record.job, identities: [], nowMs: nowMs, downloading: false)
      let claims = try examined.verified().claims
      let settled = SettledJob(
        outcome: claims.outcome, items: claims.job?.items ?? 0, failedItems: claims.job?.failedItems ?? 0,
        receipt: SHA256.digest(of: examined.bytes))
      if recording { try entry.settle(settled) }
      return .settled(settled)
    } catch let error as ClientError where error.kind == .invalid || error.kind == .rejected {
      return .invalid(reason: error.reason)
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return .invalid(reason: "the store names a receipt and does not have it")
    } catch let error as ObjectStoreError where error.mayBeOfOneObject {
      return .invalid(reason: "\(error.action): \(error.reason)")
    }
  }

  /// Writes a job's verified results into `folder/<number>`, unless they are there.
  ///
  /// - Returns: the folder that was written; nil when it was there, or when there is nothing to write.
  /// - Throws: ``ClientError`` where the results are not those of the receipt; what the store throws.
  func fetch(
    _ night: EarlierNight, into folder: String, format: ResultsFormat, nowMs: UInt64,
    progress: (UInt64) -> Void
  ) throws -> String? {
    let digits = String(night.number)
    let path = "\(folder)/\(String(repeating: "0", count: max(0, 6 - digits.utf8.count)))\(digits)"
    guard case .settled = night.standing, !PrivateFiles.exists(path) else { return nil }
    let examined = try ResultsFetcher(home: home, profile: profile, store: store).examine(
      night.entry.record.job, identities: try home.keys.identities(), nowMs: nowMs, progress: progress)
    _ = try examined.verified()
    guard let results = examined.results else { return nil }
    try PrivateFiles.makeDirectory(folder)
    try ResultsWriter(results, receipt: examined.bytes).write(format, to: path, replacing: false)
    return path
  }
}
