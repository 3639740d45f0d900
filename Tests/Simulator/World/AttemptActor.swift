import Queue
import Wire

/// One attempt: the real ``ExecutorDriver`` and ``LeaseWatch``, the worker's half of the conversation, and the I/O as the
/// daemon's AttemptIO does it (results and receipt once each, then the commit).
final class AttemptActor: ExecutorIO {
  let lease: Lease
  /// Who wrote a file: no other attempt has this number, even under the same attempt's number after a restore.
  let writer: Int
  let worker: Int
  let port: QueuePort
  private unowned let world: World
  private let driver: ExecutorDriver
  private var attempt: ExecutorAttempt
  private var watch: LeaseWatch
  private(set) var isOver = false
  /// A step is under way somewhere below on the stack.
  private(set) var isBusy = false
  private var isWatched = true
  private var isInterrupted = false
  private var boot = 0
  private var script: [JobRequest] = []
  /// What the worker does when the script has come to its end.
  private var isDeaf = false
  private var foundCommit = false
  private var isToldToCancel = false
  private var written: [String] = []

  init(_ world: World, _ lease: Lease, worker: Int, port: QueuePort, writer: Int) {
    self.world = world
    self.lease = lease
    self.worker = worker
    self.port = port
    self.writer = writer
    driver = ExecutorDriver(lease, store: port, clock: world.clock)
    attempt = ExecutorAttempt(lease)
    watch = LeaseWatch(lease, leaseDuration: World.request.leaseDuration, at: world.now)
  }

  /// One step; the attempt may go on below it as others' steps do.
  func step() {
    guard !isOver, !isBusy else { return }
    isBusy = true
    let goesOn = driver.step(&attempt, self)
    isBusy = false
    guard !goesOn else { return }
    isOver = true
    close()
    guard !port.process.isDead else { return }
    world.trace("\(name) is over: \(attempt.result)")
    world.tidy(after: attempt.result, of: lease, by: port.process)
  }

  var name: String { "attempt \(lease.attempt) of \(short(lease.job)) (writer \(writer))" }

  /// What the lease's keeper does when it looks.
  func look() {
    guard isWatched, !isOver else { return }
    let now = world.now
    var step = watch.look(at: now, isStopping: port.process.isStopping)
    if case .renew = step {
      do {
        let beat = try port.heartbeat(lease, leaseDuration: World.request.leaseDuration, at: now)
        if watch.renewed(beat, at: now) { driver.post(.cancelRequested) }
        step = .rest
      } catch {
        step = watch.notRenewed(error, at: now)
      }
    }
    guard case .end(let event) = step else { return }
    isWatched = false
    world.trace("\(name): \(event)")
    world.count("posted: \(event)")
    driver.post(event)
    interrupt()
  }

  func interrupt() { isInterrupted = true }
  func close() { script = [] }

  // MARK: The I/O

  func perform(_ action: ExecutorAction, lease: Lease) -> ExecutorEvent {
    do {
      switch action {
      case .lookUpCommit:
        let commit = try world.request(.lookUpCommit, of: port.process, by: self) { world.shelf.commits[lease.job] }
        foundCommit = commit != nil
        return .commitLookedUp(world.mutant == .looksForNoCommit ? nil : commit)
      case .startJob: return try world.request(.startJob, of: port.process, by: self) { try connect() }
      case .readRequest: return .requestReceived(try world.request(.readRequest, of: port.process, by: self, read))
      case .sendPiece(let stream): try world.request(.sendPiece, of: port.process, by: self) { try send(stream) }
      case .appendResult(let file, _, let cancel):
        try world.request(.appendResult, of: port.process, by: self) {
          if !written.contains(file.sealedName) { written.append(file.sealedName) }
          try acknowledge(cancel)
        }
      case .acknowledge(let cancel):
        try world.request(.acknowledge, of: port.process, by: self) { try acknowledge(cancel) }
      case .storeResults(let receipt): return try storeResults(receipt)
      case .writeCommit(let commit): return try write(commit)
      case .finish, .retryLater, .release, .cancel, .giveUp, .abandon:
        world.ledger.breach("the driver handed a call on the queue to its I/O")
      }
      return .replied
    } catch let error as Failure {
      return .fault(error.fault)
    } catch {
      return .fault(Fault(.storeUnavailable, detail: "\(error)"))
    }
  }

  private func connect() throws -> ExecutorEvent {
    guard world.workers[worker].isUp else { throw Failure(.workerUnavailable) }
    if foundCommit { world.ledger.breach("\(short(lease.job)) was run again though its commit was there") }
    boot = world.workers[worker].boot
    (script, isDeaf) = world.conversation(of: lease.job, writer: writer)
    return .workerConnected
  }

  private func checkConnection() throws {
    guard !isInterrupted, world.workers[worker].isUp, world.workers[worker].boot == boot else {
      throw Failure(.workerLost)
    }
  }

  private func read() throws -> JobRequest {
    try checkConnection()
    if isToldToCancel { return .end(.retry, receipt: nil) }
    guard !script.isEmpty else {
      if isDeaf { world.pass(.seconds(60)) }
      throw Failure(isDeaf ? .workerLost : .workerProtocol)
    }
    return script.removeFirst()
  }

  private func send(_ stream: JobStream) throws {
    if stream == .bundle, !world.shelf.hasBundle(lease.job) { throw Failure(.bundleMissing) }
    try checkConnection()
  }

  private func acknowledge(_ cancel: Bool) throws {
    try checkConnection()
    isToldToCancel = isToldToCancel || cancel
  }

  /// File after file, each on the condition that it is not there, the receipt last.
  private func storeResults(_ receipt: [UInt8]) throws -> ExecutorEvent {
    guard receipt == World.receipt(of: writer).bytes else { throw Failure(.bundleMissing) }
    let files = written + (world.mutant == .storesNoReceipt ? [] : [ObjectShelf.receipt])
    try world.request(.storeResults, of: port.process, by: self) {}
    for (index, file) in files.enumerated() {
      if index > 0 { try world.between(.storeResults, of: port.process) }
      let job = lease.job, number = lease.attempt, writer = writer
      let put: (World) -> Bool = { $0.shelf.putIfAbsent(job, attempt: number, file, by: writer) }
      if try !world.send(put, of: port.process, by: self) {
        world.count("results refused: the attempt's number was used before")
        throw Failure(.storeUnavailable)
      }
    }
    let outcomes = JobOutcome.allCases
    return .resultsStored(outcomes[writer % outcomes.count], receipt: World.receipt(of: writer))
  }

  private func write(_ commit: JobCommit) throws -> ExecutorEvent {
    try world.request(.writeCommit, of: port.process, by: self) {
      let job = lease.job, writer = writer
      let isLate = !world.ledger.holds(lease)
      let isWritten = try world.send({ $0.commit(commit, of: job, by: writer) }, of: port.process, by: self)
      if isLate {
        world.count(isWritten ? "late commit of a zombie stood first" : "late commit of a zombie was refused")
      }
      guard !isWritten, let existing = world.shelf.commits[job] else { return .commitWritten }
      return .commitExisted(existing)
    }
  }
}

/// A fault that ends an attempt.
struct Failure: Error {
  let fault: Fault
  init(_ faultClass: FaultClass) { fault = Fault(faultClass) }
}
