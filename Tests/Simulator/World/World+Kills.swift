import CSimulatedDisk
import Queue
import Wire

/// What the database says, to be compared before and after.
struct Snapshot: Hashable {
  let jobs: [Job]
  let runs: [Run]

  init(_ store: any RetentionStore) throws {
    jobs = try store.list(JobFilter(limit: 100_000))
    runs = try World.schedules.flatMap { try store.runs(of: $0.name, limit: 2) }
  }
}

/// What a successor must find.
enum Expectation {
  case nothing
  case exactly(Snapshot)
  /// The call that was under way took effect whole, or not at all.
  case either(Snapshot, Snapshot)
}

/// A copy of the database that an operator made, and what was true then.
struct Backup {
  let disk: SimulatedDisk
  let ledger: Ledger
  let snapshot: Snapshot
}

extension World {
  // MARK: Calls on the queue

  /// A call on the queue, which may be slow, fail before it begins or in the database, or be the last of its process.
  func call<Value>(_ edge: Edge, by port: QueuePort, _ body: (any RetentionStore) throws -> Value) throws -> Value {
    meanwhile()
    guard let process = port.isZombie ? self.process : port.process, !process.isDead else { throw Self.gone }
    count("passed \(edge.rawValue)")
    guard hasFaults else { return try run(body, process) }
    if random.chance(profile.kill * edge.weight) { return try dying(edge, process, body) }
    if random.chance(profile.fault / 4) {
      count("failed \(edge.rawValue) before its effect")
      throw QueueError.unavailable("simulated")
    }
    if random.chance(profile.disk * min(edge.weight, 6)) { return try onBadDisk(edge, process, body) }
    return try run(body, process)
  }

  private static let gone = QueueError.unavailable("the process is gone")

  /// With nothing in its way, a call answers or refuses for a reason.
  private func run<Value>(_ body: (any RetentionStore) throws -> Value, _ process: DaemonProcess) throws -> Value {
    do {
      let operations = disk.operations
      let value = try body(process.store)
      if disk.operations > operations { hasDoubt = false }
      return value
    } catch let error as QueueError {
      switch error {
      case .fenced, .unknownJob, .illegalMove, .bundleCleared: break
      default: ledger.breach("without a fault: \(error)")
      }
      throw error
    }
  }

  private func dying<Value>(
    _ edge: Edge, _ process: DaemonProcess, _ body: (any RetentionStore) throws -> Value
  ) throws -> Value {
    let moment = random.pick(edge.moments) ?? .before
    switch moment {
    case .before: kill(process, edge, .before)
    case .after:
      _ = try? run(body, process)
      kill(process, edge, .after)
    case .within: try tear(edge, process, body)
    }
    throw Self.gone
  }

  /// Kills the process between two operations that its call makes on the disk. What must be found afterwards is what was
  /// there before, or what the same call makes of a copy.
  private func tear<Value>(
    _ edge: Edge, _ process: DaemonProcess, _ body: (any RetentionStore) throws -> Value
  ) throws {
    let before = try Snapshot(process.queue)
    let copy = try fork()
    let start = forkOperations
    _ = try? body(mutant.map { $0.wrap(copy) } ?? copy)
    let operations = Int64(forkOperations - start)
    let after = try Snapshot(copy)
    try copy.close()
    // The last operation is the sync: without it a call is whole after a kill, and in doubt after a power cut.
    let last = max(0, operations - 1)
    disk.arm(SIMULATED_GONE, skip: random.chance(5_000) ? last : random.upTo(last))
    _ = try? body(process.store)
    kill(process, edge, .within, expecting: hasDoubt ? .nothing : .either(before, after))
  }

  /// The disk fails somewhere in the call. When the call throws, nothing of it may have taken effect.
  private func onBadDisk<Value>(
    _ edge: Edge, _ process: DaemonProcess, _ body: (any RetentionStore) throws -> Value
  ) throws -> Value {
    let faults: [(simulated_fault, String)] = [
      (SIMULATED_WRITE_ERROR, "write error"), (SIMULATED_SYNC_ERROR, "sync error"), (SIMULATED_FULL, "full"),
      (SIMULATED_READ_ERROR, "read error"),
    ]
    guard let (fault, words) = random.pick(faults) else { throw Self.gone }
    let before = try Snapshot(process.queue)
    disk.arm(fault, skip: fault == SIMULATED_SYNC_ERROR ? 0 : random.upTo(4))
    do {
      let value = try body(process.store)
      disk.disarm()
      return value
    } catch {
      guard disk.disarm() else { throw error }
      count("disk: \(words)")
      trace("\(edge.rawValue): \(words) (\(error))")
      if fault == SIMULATED_SYNC_ERROR { hasDoubt = true }
      // Each step of a run is a transaction of its own, and the next turn takes the rest.
      if edge == .openRun, try Snapshot(process.queue).runs.contains(where: \.isFilling) {
        count("run cut short")
      } else if try Snapshot(process.queue) != before {
        ledger.breach("\(edge.rawValue) threw (\(words)) and took effect")
      }
      throw error
    }
  }

  // MARK: The end of a process, and the next one

  /// The process ends here and now; in half of the cases the whole machine does.
  func kill(_ process: DaemonProcess, _ edge: Edge?, _ moment: KillMoment, expecting: Expectation? = nil) {
    guard !process.isDead else { return }
    let isPowerCut = random.chance(5_000)
    count(isPowerCut ? "power cut" : "process killed")
    if let edge { count(Coverage.kill(edge, moment)) }
    trace("KILL \(moment.rawValue) \(edge?.rawValue ?? "anything")\(isPowerCut ? ", power cut" : "")")
    process.isDead = true
    if let expecting {
      expectation = expecting
    } else if !hasDoubt, let found = try? Snapshot(process.queue) {
      expectation = .exactly(found)
    } else {
      expectation = .nothing
    }
    hasDoubt = false
    cut(power: isPowerCut)
    for attempt in process.attempts.compactMap({ $0 }) where !attempt.isOver && random.chance(3_000) {
      attempt.port.isZombie = true
      zombies.append(attempt)
    }
    process.close()
  }

  private func cut(power: Bool) {
    do { try disk.cut(power: power) } catch { ledger.breach("the simulated disk ran out of memory") }
  }

  /// Starts the daemon, which may fail or die on the way.
  func start() throws {
    guard process?.isDead ?? true else { return }
    processes += 1
    if hasFaults, let backup, random.chance(3_000) { try restore(backup) }
    queueRandom = SimulatedRandom(seed: random.next())
    let dies = hasFaults && random.chance(profile.kill * Edge.open.weight)
    if dies { disk.arm(SIMULATED_GONE, skip: random.upTo(6)) }
    let opened = Result {
      try SQLiteQueue(
        path: disk.path, retryPolicy: World.policy, random: queueRandom, membersPerStep: World.membersPerStep)
    }
    if disk.disarm() {
      count(Coverage.kill(.open, .within))
      trace("KILL while the database is opened")
      cut(power: random.chance(5_000))
      if let queue = try? opened.get() { try? queue.close() }
      return
    }
    let queue: SQLiteQueue
    do { queue = try opened.get() } catch { return ledger.breach("the database does not open: \(error)") }
    count("daemon started")
    trace("daemon \(processes) starts")
    let started = DaemonProcess(self, number: processes, queue: queue)
    // A run that was cut short gets the rest of its members, as in the daemon's first turn, and is whole.
    if try !queue.fillRuns().isEmpty { count("run filled after a kill") }
    let found = try Snapshot(queue)
    compare(found)
    expectation = .nothing
    ledger.reload(found.jobs)
    do {
      // Whoever held a lease is gone; nobody is served before that is written down.
      _ = try started.port?.reap(.all, at: now)
      if !started.isDead { process = started }
      if hasRestored, let port = started.port { try? adoptCommits(port) }
    } catch {
      if !started.isDead { count("daemon did not start") }
      kill(started, nil, .after)
    }
  }

  private func compare(_ found: Snapshot) {
    switch expectation {
    case .nothing: break
    case .exactly(let expected):
      if found != expected {
        ledger.breach("what was answered before the kill is not there: \(Self.difference(expected, found))")
      }
    case .either(let before, let after):
      if found != before, found != after {
        ledger.breach("a call that died took effect in part: \(Self.difference(before, found))")
      }
      if before != after { count(found == after ? "torn call took effect whole" : "torn call took no effect") }
    }
  }

  private static func difference(_ expected: Snapshot, _ found: Snapshot) -> String {
    let pairs = zip(expected.jobs, found.jobs).first { $0 != $1 }
    guard let (left, right) = pairs else {
      return "\(expected.jobs.count) jobs, \(expected.runs.count) runs; found \(found.jobs.count), \(found.runs.count)"
    }
    return "\(short(left.name)) \(left.state.rawValue) \(left.attempt), found \(right.state.rawValue) \(right.attempt)"
  }

  // MARK: Backups

  /// An operator copies the database while the daemon is between two calls.
  func makeBackup() {
    guard profile.hasRestores, depth == 0, let process, !process.isDead, !hasDoubt else { return }
    do {
      let copy = try SimulatedDisk(seed: 2)
      try copy.copy(disk)
      backup = Backup(disk: copy, ledger: ledger, snapshot: try Snapshot(process.queue))
      count("backup made")
    } catch {
      ledger.breach("no backup: \(error)")
    }
  }

  private func restore(_ backup: Backup) throws {
    try disk.copy(backup.disk)
    ledger.restore(backup.ledger)
    expectation = .exactly(backup.snapshot)
    hasRestored = true
    count("older backup restored")
    trace("an older backup is put back")
  }
}
