import Crypto
import FoundationEssentials
import ObjectStore
import Queue
import SealedCrypto
import Synchronization
import Wire

/// One attempt's sockets and objects: answers the worker's pulls from the store and writes what it sends into the
/// attempt's folder. Ciphertext only, a chunk at a time.
///
/// Invariants: nothing of the attempt is visible in the store before the worker ended with a receipt; the files of an
/// attempt are written once (`.ifAbsent`), so a later attempt never changes what a commit points at.
final class AttemptIO: ExecutorIO {
  private let store: any ObjectStore
  private let supervisor: WorkerSupervisor
  private let client: WorkerClient
  private let worker: String
  private let events: any DaemonEvents
  /// The worker has taken the job: what follows is its doing too.
  private(set) var hasConnected = false
  private let channel = Mutex<Channel?>(nil)
  private var readers: [JobStream: any ObjectReader] = [:]
  private var writers: [ResultFile: any ObjectWriter] = [:]
  /// The commit that stood in the store before this attempt did anything.
  private(set) var foundCommit: JobCommit?

  init(
    store: any ObjectStore, supervisor: WorkerSupervisor, client: WorkerClient, worker: String,
    events: any DaemonEvents
  ) {
    self.worker = worker
    self.events = events
    self.store = store
    self.supervisor = supervisor
    self.client = client
  }

  func perform(_ action: ExecutorAction, lease: Lease) -> ExecutorEvent {
    do {
      switch action {
      case .lookUpCommit:
        foundCommit = try commit(of: lease.job)
        return .commitLookedUp(foundCommit)
      case .startJob(let attempt): return try connect(attempt)
      case .readRequest: return .requestReceived(try request())
      case .sendPiece(let stream): try send(try piece(of: stream, lease: lease))
      case .appendResult(let file, let bytes, let cancel):
        try fromStore { try writer(file, lease: lease).write(bytes) }
        events.bytesMoved(.fromWorker, worker: worker, count: bytes.count)
        try send(.acknowledged(cancel: cancel))
      case .acknowledge(let cancel): try send(.acknowledged(cancel: cancel))
      case .storeResults(let receipt): return try storeResults(receipt, lease: lease)
      case .writeCommit(let commit): return try write(commit, of: lease.job)
      case .finish, .retryLater, .release, .cancel, .giveUp, .abandon: break
      }
      return .replied
    } catch let fault as AttemptFault {
      supervisor.forget()
      return .fault(fault.fault)
    } catch {
      return .fault(Fault(.storeUnavailable, detail: "\(error)"))
    }
  }

  func interrupt() { channel.withLock { $0?.close() } }

  func close() {
    interrupt()
    for writer in writers.values { writer.abort() }
  }

  // MARK: The worker

  private func connect(_ attempt: Int64) throws -> ExecutorEvent {
    do {
      try supervisor.makeReady()
      let opened = try client.open(.runJob(attempt: UInt64(max(0, attempt))))
      channel.withLock { $0 = opened }
      hasConnected = true
      return .workerConnected
    } catch let error as ObjectStoreError {
      throw AttemptFault(.storeUnavailable, "\(error)")
    } catch {
      throw AttemptFault(.workerUnavailable, "\(error)")
    }
  }

  private func request() throws -> JobRequest {
    try fromWorker { channel in
      guard let frame = try channel.receive() else { throw WireError.connectionLost("the worker hung up") }
      return try JobRequest(frame)
    }
  }

  private func send(_ reply: JobReply) throws { try fromWorker { try $0.send(reply.encoded()) } }

  private func fromWorker<Result>(_ body: (Channel) throws -> Result) throws -> Result {
    guard let open = channel.withLock({ $0 }) else { throw AttemptFault(.workerLost, "there is no connection") }
    do {
      return try body(open)
    } catch let error as WireError {
      switch error {
      case .connectionLost, .timedOut, .truncated: throw AttemptFault(.workerLost, "\(error)")
      case .malformed, .tooLarge: throw AttemptFault(.workerProtocol, "\(error)")
      }
    }
  }

  // MARK: The store

  private func commit(of job: JobName) throws -> JobCommit? {
    try fromStore {
      do {
        let key = try ObjectKey(StoreLayout.commit(job))
        let bytes = try store.getSmall(key, limit: StoreRecord.limitBytes)
        guard let commit = try? StoreRecord.decode(CommitRecord.self, bytes).commit else {
          throw AttemptFault(.storeUnavailable, "\(key) is not a commit")
        }
        return commit
      } catch let error as ObjectStoreError where error.kind == .notFound {
        return nil
      }
    }
  }

  private func write(_ commit: JobCommit, of job: JobName) throws -> ExecutorEvent {
    let outcome = try fromStore {
      try store.put(try ObjectKey(StoreLayout.commit(job)), try StoreRecord.encode(CommitRecord(commit)), .ifAbsent)
    }
    if outcome == .written { return .commitWritten }
    guard let existing = try self.commit(of: job) else {
      throw AttemptFault(.storeUnavailable, "a commit that was there is gone")
    }
    return .commitExisted(existing)
  }

  private func piece(of stream: JobStream, lease: Lease) throws -> JobReply {
    try fromStore {
      if readers[stream] == nil {
        guard let reader = try open(stream, lease: lease) else {
          guard stream != .bundle else { throw AttemptFault(.bundleMissing, "the bundle is not in the inbox") }
          return .absent
        }
        readers[stream] = reader
      }
      guard let reader = readers[stream] else { return .absent }
      let bytes = try reader.read(upTo: Limits.chunkBytes)
      events.bytesMoved(.toWorker, worker: worker, count: bytes.count)
      // A finished model file is let go, so that a model of many files holds one open at a time.
      if bytes.isEmpty, stream != .bundle { readers[stream] = nil }
      return .data(bytes)
    }
  }

  private func open(_ stream: JobStream, lease: Lease) throws -> (any ObjectReader)? {
    let text =
      switch stream {
      case .bundle: StoreLayout.bundle(lease.job, queue: lease.inboxFolder)
      case .model(let digest, let name): StoreLayout.model(digest, name)
      }
    // A name that can be no key is the worker's word for a model file: there is no such object.
    guard let key = try? ObjectKey(text) else { return nil }
    do {
      return try store.read(key)
    } catch let error as ObjectStoreError where error.kind == .notFound {
      return nil
    }
  }

  private func writer(_ file: ResultFile, lease: Lease) throws -> any ObjectWriter {
    if let writer = writers[file] { return writer }
    let writer = try store.openWriter(try ObjectKey(StoreLayout.result(lease.job, attempt: lease.attempt, file)))
    writers[file] = writer
    return writer
  }

  private func storeResults(_ receipt: [UInt8], lease: Lease) throws -> ExecutorEvent {
    // The worker has nothing left to say; whether it still hears this answer changes nothing.
    try? send(.acknowledged(cancel: false))
    // Unverified: the host cannot judge a receipt, only see that it speaks of the bytes that it sent.
    guard let claims = try? UnverifiedStatement<ReceiptClaims>(receipt).signedByItsOwnKey().signed.claims else {
      throw AttemptFault(.workerProtocol, "the receipt cannot be read")
    }
    guard claims.bundle == lease.job else {
      throw AttemptFault(.bundleMissing, "the object in the inbox is not the bundle of its name")
    }
    try fromStore {
      for file in ResultFile.allCases {
        guard let writer = writers.removeValue(forKey: file) else { continue }
        try once(try writer.commit(.ifAbsent), lease)
      }
      let key = try ObjectKey(StoreLayout.receipt(lease.job, attempt: lease.attempt))
      try once(try store.put(key, receipt, .ifAbsent), lease)
    }
    return .resultsStored(claims.outcome, receipt: SHA256.digest(of: receipt))
  }

  /// The attempt's folder must have been empty: a number that stands there already comes from a database that was
  /// lost. The executor has the queue count on behind it.
  private func once(_ outcome: PutOutcome, _ lease: Lease) throws {
    guard outcome == .written else {
      throw AttemptFault(.attemptTaken, "attempt \(lease.attempt) stands in the store already")
    }
  }

  private func fromStore<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as ObjectStoreError { throw AttemptFault(.storeUnavailable, "\(error)") }
  }
}

/// A fault that ends an attempt.
private struct AttemptFault: Error {
  let fault: Fault

  init(_ faultClass: FaultClass, _ detail: String) { fault = Fault(faultClass, detail: detail) }
}
