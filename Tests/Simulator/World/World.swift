import CSimulatedDisk
import Queue
import Wire

// One small world, made by its seed: clients upload, the daemon's real parts (intake, scheduler, executor's driver and
// machine, lease watch, SQLiteQueue over the real SQLite) take steps in any order, workers and stores fail, the disk fails,
// the process is killed between any action and its effect, operators interfere, clocks are stepped. Then the faults stop,
// and every promise must hold. Nothing but the seed decides: no clock, no thread, no hash order.
//
// Time that a request takes is time for the others: inside of a slow request the world takes further steps, so an attempt
// may find its lease gone, its successor done, or its process dead when the request comes back.

/// A host, its store, its workers and its disk, in one thread.
final class World {
  let random: SimulatedRandom
  let profile: Profile
  let mutant: Mutant?
  let disk: SimulatedDisk
  private(set) var coverage = Coverage()
  private let onTrace: ((String) -> Void)?

  var ledger = Ledger()
  var shelf = ObjectShelf()
  var process: DaemonProcess?
  var workers: [SimulatedWorker]
  var zombies: [AttemptActor] = []
  /// The first commit of each job, and the files that it names with their writers.
  var commits: [JobName: JobCommit] = [:]
  var committedFiles: [JobName: [String: Int]] = [:]
  /// Bundles that their uploaders deleted.
  var removed: Set<JobName> = []
  /// Requests that were sent, and arrive when nobody waits for them any more.
  private var inFlight: [(arrivesAt: Timestamp, effect: (World) -> Void)] = []
  var uploads = 0
  var writers = 0
  var processes = 0
  /// While false, nothing fails any more.
  var hasFaults = true
  /// How deep slow requests are nested.
  var depth = 0
  /// What the next process must find in the database.
  var expectation = Expectation.nothing
  /// A sync failed and nothing was written since: what it should have made durable may come back after a crash.
  var hasDoubt = false
  var backup: Backup?
  var hasRestored = false
  var queueRandom: SimulatedRandom
  private var forkDisk: SimulatedDisk?

  private(set) var trueNow: Timestamp
  /// How far the daemon's clock is off.
  var skew = Duration.zero { didSet { if skew < oldValue { ledger.clockWasSetBack(to: now) } } }
  /// What the daemon takes for the time.
  var now: Timestamp { trueNow + skew }
  private(set) lazy var clock = SimulatedClock(self)

  static let policy = RetryPolicy(strikeLimit: 3, patience: 4, base: .seconds(2), cap: .seconds(60))
  static let request = ClaimRequest(owner: "worker", leaseDuration: .seconds(30), attemptTimeout: .seconds(240))

  init(seed: UInt64, mutant: Mutant?, onTrace: ((String) -> Void)?) throws {
    random = SimulatedRandom(seed: seed &* 0x2545_f491_4f6c_dd1d &+ 1)
    profile = Profile(random)
    self.mutant = mutant
    self.onTrace = onTrace
    disk = try SimulatedDisk(seed: random.next())
    try disk.copy(try World.template.get())
    if mutant == .lyingDisk { disk.lie() }
    queueRandom = SimulatedRandom(seed: random.next())
    workers = Array(repeating: SimulatedWorker(), count: profile.workers)
    trueNow = World.starts[Int(random.upTo(Int64(World.starts.count - 1)))]
  }

  /// Breaks the cycles of references and closes what is open.
  func end() {
    process?.close()
    process = nil
    zombies = []
  }

  func count(_ what: String) { coverage.count(what) }

  func trace(_ words: @autoclosure () -> String) {
    guard let onTrace else { return }
    onTrace("\(now.milliseconds) \(String(repeating: "  ", count: depth))\(words())")
  }

  // MARK: Time

  /// Time passes; what was on its way arrives.
  func pass(_ duration: Duration) {
    trueNow = trueNow + duration
    while let index = inFlight.firstIndex(where: { $0.arrivesAt <= trueNow }) {
      let request = inFlight.remove(at: index)
      request.effect(self)
    }
  }

  /// Everything that is on its way arrives.
  func deliverAll() {
    let late = inFlight
    inFlight = []
    for request in late { request.effect(self) }
  }

  /// A slow answer: meanwhile the world goes on.
  func meanwhile() {
    guard hasFaults, depth < 3, random.chance(profile.slow) else { return }
    count("slow request")
    depth += 1
    defer { depth -= 1 }
    if random.chance(2_000) { pass(.seconds(random.upTo(90))) }
    for _ in 0...random.upTo(5) { step() }
  }

  // MARK: Requests that are no calls on the queue

  /// A request of the daemon's to a worker or to the object store, which may be slow, fail before or after its effect, or
  /// be its last.
  func request<Value>(
    _ edge: Edge, of process: DaemonProcess, by attempt: AttemptActor? = nil, _ body: () throws -> Value
  ) throws -> Value {
    meanwhile()
    guard !process.isDead || attempt?.port.isZombie == true else { throw Failure(.daemonLost) }
    count("passed \(edge.rawValue)")
    if kills(process, edge, .before) { throw Failure(.daemonLost) }
    if fails(edge, "before its effect") { throw failure(edge) }
    let value = try body()
    if kills(process, edge, .after) { throw Failure(.daemonLost) }
    if fails(edge, "after its effect") { throw failure(edge) }
    return value
  }

  /// Between two parts of a request that has several.
  func between(_ edge: Edge, of process: DaemonProcess) throws {
    meanwhile()
    if kills(process, edge, .within) { throw Failure(.daemonLost) }
    if fails(edge, "half done") { throw failure(edge) }
  }

  /// A conditional write to the store: it may be lost to its sender, and still arrive.
  func send(_ put: @escaping (World) -> Bool, of process: DaemonProcess, by attempt: AttemptActor) throws -> Bool {
    guard hasFaults, random.chance(profile.late / 8) else {
      return put(self)
    }
    count("request arrives late")
    trace("\(attempt.name): a write is on its way")
    inFlight.append((trueNow + .seconds(random.upTo(150)), { _ = put($0) }))
    throw Failure(.storeUnavailable)
  }

  private func kills(_ process: DaemonProcess, _ edge: Edge, _ moment: KillMoment) -> Bool {
    guard hasFaults, !process.isDead, random.chance(profile.kill * edge.weight) else { return false }
    kill(process, edge, moment)
    return true
  }

  private func fails(_ edge: Edge, _ when: String) -> Bool {
    guard hasFaults, random.chance(profile.fault) else { return false }
    count("failed \(edge.rawValue) \(when)")
    trace("\(edge.rawValue) fails \(when)")
    return true
  }

  private func failure(_ edge: Edge) -> Failure {
    switch edge {
    case .startJob: Failure(.workerUnavailable)
    case .readRequest, .sendPiece, .appendResult, .acknowledge: Failure(.workerLost)
    default: Failure(.storeUnavailable)
    }
  }

  // MARK: A second disk

  /// A queue on a copy of the disk as it is, whose generator will draw what the queue's own would.
  func fork() throws -> SQLiteQueue {
    let copy = try forkDisk ?? SimulatedDisk(seed: 1)
    forkDisk = copy
    try copy.copy(disk)
    return try SQLiteQueue(
      path: copy.path, retryPolicy: World.policy, random: SimulatedRandom(seed: queueRandom.state),
      membersPerStep: World.membersPerStep)
  }

  /// Writes and syncs on the copy so far.
  var forkOperations: UInt64 { forkDisk?.operations ?? 0 }
}

/// The daemon's clock.
struct SimulatedClock: QueueClock, @unchecked Sendable {
  private unowned let world: World
  init(_ world: World) { self.world = world }
  func now() -> Timestamp { world.now }
}
