import ObjectStore
import Wire

/// What the host says of a job: coarse, unsigned, possibly a lie. Shown as "the host says", and nothing depends on it.
package struct HostStatement: Sendable, Equatable {
  /// The host's word for the state, cut to what can be printed.
  package let state: String
  package let attempt: UInt64
  /// Items done in this attempt.
  package let done: UInt64
  /// When the host wrote it, by the host's clock.
  package let updatedMs: UInt64

  init(parsing bytes: [UInt8]) throws {
    guard let record = try? StoreRecord.decode(JobStateRecord.self, bytes) else {
      throw ClientError(
        .other, "the host's state of the job cannot be read", remedy: "look again later", by: .operator_)
    }
    state = String(
      record.state.unicodeScalars.prefix(32).map { $0.isASCII && $0.value > 32 && $0.value < 127 ? Character($0) : "?" }
    )
    attempt = UInt64(clamping: record.attempt)
    done = record.done
    updatedMs = UInt64(clamping: record.updatedMs)
  }
}

extension HostStatement {
  /// Stands for a statement that is there and cannot be read.
  static let unreadable = HostStatement(state: "something unreadable", attempt: 0, done: 0, updatedMs: 0)

  private init(state: String, attempt: UInt64, done: UInt64, updatedMs: UInt64) {
    (self.state, self.attempt, self.done, self.updatedMs) = (state, attempt, done, updatedMs)
  }

  /// Whether the host says that nothing more will come.
  package var isFinal: Bool { state == "cancelled" || state == "dead" }

  /// The error that tells a person so. There is no receipt, so this is the host's word alone.
  package func ended(_ job: JobName) -> ClientError {
    ClientError(
      .jobFailed, "the host says that the job is \(state), after \(attempt) attempts; there is no receipt",
      remedy: state == "dead"
        ? "the operator sees why: ephemeral queue inspect \(job.hex)" : "submit again if it was not meant to stop",
      by: state == "dead" ? .operator_ : .you)
  }
}

extension JobCommit {
  /// Reads `commit.json`.
  ///
  /// - Throws: ``ClientError`` of kind `invalid` for what no daemon writes.
  init(parsing bytes: [UInt8]) throws {
    guard let commit = try? StoreRecord.decode(CommitRecord.self, bytes).commit else {
      throw ClientError(.invalid, "commit.json cannot be read", remedy: "look why the host wrote that", by: .operator_)
    }
    self = commit
  }
}

/// Looks at a job in the store.
package struct Watcher {
  private let store: any ObjectStore

  package init(store: any ObjectStore) { self.store = store }

  /// What the host says; nil when it says nothing yet. Since nothing depends on it, what cannot be read is no error.
  package func hostStatement(_ job: JobName) throws -> HostStatement? {
    do {
      return try small(StoreLayout.state(job)).map { try HostStatement(parsing: $0) }
    } catch is ClientError {
      return .unreadable
    } catch let error as ObjectStoreError where error.isOfOneObject {
      return .unreadable
    }
  }

  /// Which attempt's files are the job's result, as the host says; nil while there is none.
  package func commit(_ job: JobName) throws -> JobCommit? {
    try small(StoreLayout.commit(job)).map { try JobCommit(parsing: $0) }
  }

  /// Looks again and again until the job has a commit.
  ///
  /// - Parameters:
  ///   - deadlineMs: nil waits for ever.
  ///   - report: called with each new word of the host.
  /// - Throws: ``ClientError`` of kind `timedOut`, or `jobFailed` when the host says that none will come; what the store
  ///   throws.
  package func waitForCommit(
    _ job: JobName, deadlineMs: UInt64?, nowMs: () -> UInt64, sleep: (_ milliseconds: UInt64) -> Void,
    report: (HostStatement) -> Void
  ) throws -> JobCommit {
    var last: HostStatement?
    var pauseMs: UInt64 = 100
    while true {
      if let commit = try commit(job) { return commit }
      if let statement = try hostStatement(job), statement != last {
        last = statement
        pauseMs = 100
        report(statement)
      }
      if let last, last.isFinal {
        // The commit is written before the host's word of it; so this look is the last.
        if let commit = try commit(job) { return commit }
        throw last.ended(job)
      }
      let now = nowMs()
      guard deadlineMs.map({ now < $0 }) ?? true else {
        throw ClientError(
          .timedOut, "the job has no receipt yet; the host says: \(last?.state ?? "nothing")",
          remedy: "`ephemeral watch \(job.hex.prefix(12))` goes on waiting")
      }
      sleep(min(pauseMs, deadlineMs.map { $0 - now } ?? pauseMs))
      pauseMs = min(pauseMs * 3 / 2, 2000)
    }
  }

  private func small(_ key: String) throws -> [UInt8]? {
    do {
      return try store.getSmall(try ObjectKey(key), limit: StoreRecord.limitBytes)
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return nil
    }
  }
}

extension ObjectStoreError {
  /// Whether the object that was asked for is at fault (missing, too large, damaged, replaced meanwhile), and not the
  /// store: others can still be read.
  package var isOfOneObject: Bool { mayBeOfOneObject && kind != .denied }

  /// The same, or access was refused, which may be to this object alone (a policy on `jobs/`, another key). For callers
  /// whose next request to the store ends the command where it was not.
  package var mayBeOfOneObject: Bool { kind != .retryable && !isOfStore }
}
