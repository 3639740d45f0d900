import Foundation
import Logging
import ObjectStore
import Queue
import SealedCrypto
import Wire

/// The host's daemon: intake, schedules, workers, the KMS relays and the operator's socket over one queue.
///
/// It holds no key and no plaintext. Everything durable is in the queue's database and the object store, so it may be
/// killed at any point.
final class Daemon: Sendable {
  private let configuration: DaemonConfiguration
  private let queue: SQLiteQueue
  private let store: any ObjectStore
  private let schedules: ScheduleBook
  private let intake: IntakeLoop
  private let pool: WorkerPool
  private let janitor: JanitorLoop
  private let relays: [KMSRelay]
  private let desk: OperatorDesk
  private let bucketEvents: EventWatch?
  private let uploadSweep: UploadSweep?
  private let status: StatusEndpoint?
  private let restore: RestoreLoop
  private let recorder: HostRecorder
  private let clock = SystemClock()
  private let states: StateWriter
  private let credentials: DefaultCredentials
  private let log: Logger
  private let metrics: DaemonMetrics

  /// Opens store, database and sockets; starts nothing yet.
  init(_ configuration: DaemonConfiguration, credentials: DefaultCredentials, log: Logger) throws {
    self.configuration = configuration
    self.credentials = credentials
    self.log = log
    let folder = configuration.stateFolder
    try Self.reading("the state folder", folder) { try StateFolder.prepare(folder, log) }
    let metrics = DaemonMetrics()
    self.metrics = metrics
    store = try StoreURL.open(configuration.storeURL, create: true, observer: metrics)
    queue = try SQLiteQueue(
      path: folder + "/" + StateFolder.database, program: Version.text, backups: StateFolder.migrationBackups(folder))
    if let backup = queue.migrationBackup {
      log.notice("the database was migrated", metadata: ["backup": "\(backup.path)"])
    }
    queue.observeCommits { metrics.commitSeconds.observe($0) }
    schedules = try ScheduleBook(files: try Self.schedules(configuration), store: queue)
    for entry in schedules.entries {
      guard let trouble = entry.trouble else { continue }
      log.warning("an added schedule is not in force: \(trouble)", metadata: ["schedule": "\(entry.name)"])
    }
    states = StateWriter(store: store, queue: queue, clock: clock, log: log)
    let shared = WorkerSurroundings(
      queue: queue, store: store, clock: clock, states: states,
      policies: StorePolicy(store: store, policyKey: configuration.policyKey), shelf: EpochShelf(store: store),
      roster: WorkerRoster(), credentials: credentials, events: metrics, log: log)
    var relays: [Endpoint: KMSRelay] = [:]
    pool = WorkerPool(
      try configuration.workers.map { worker in
        let place = worker.relayListen ?? configuration.relayListen
        let relay =
          try relays[place]
          ?? KMSRelay(listenOn: place, target: configuration.relayTarget, log: log, events: metrics)
        relays[place] = relay
        return ManagedWorker(
          worker, relay: relay, relayAddress: worker.relayAddress ?? configuration.relayAddress ?? relay.address,
          silenceSeconds: configuration.workerSilenceSeconds, in: shared)
      })
    self.relays = Array(relays.values)
    let receipts = RecentReceipts()
    for worker in pool.workers {
      worker.executor.onEnd = { lease, result in receipts.note(lease, result, at: SystemClock().now()) }
    }
    let inbox = StoreInbox(store: store, policyKey: configuration.policyKey)
    intake = IntakeLoop(
      queue: queue, inbox: inbox, schedules: schedules, clock: clock, states: states,
      interval: configuration.pollSeconds, log: log, events: metrics, onWork: { [pool] in pool.wake() })
    let eventQueue = try configuration.eventQueue.map { try EventQueue(url: $0, credentials: credentials) }
    bucketEvents = eventQueue.map { [intake] queue in EventWatch(queue, log: log) { intake.hint() } }
    uploadSweep = UploadSweep(store, log: log)
    janitor = JanitorLoop(
      queue: queue, store: store, policy: configuration.retention, clock: clock, states: states, log: log)
    let storeRestore = StoreRestore(queue: queue, store: store, clock: clock, log: log)
    restore = RestoreLoop(
      storeRestore, takeIn: { [intake] in try intake.takeIn() }, states: states, log: log)
    recorder = HostRecorder(queue: queue, store: store, restore: storeRestore, log: log)
    let workers = configuration.workers.map { "\($0.endpoint)" }.joined(separator: ", ")
    desk = OperatorDesk(
      queue: queue, inbox: inbox, workers: WorkersDesk(pool: pool, startedAt: clock.now()), janitor: janitor,
      schedules: schedules, onSchedules: { [intake] in intake.wake() }, clock: clock, states: states,
      epochs: EpochDesk(pool: pool),
      database: DatabaseDesk(queue: queue, restore: storeRestore),
      about: "daemon \(Version.full), store \(store.location), worker\(configuration.workers.count > 1 ? "s" : "") "
        + workers)
    let pulses =
      [intake.pulse, states.pulse, janitor.pulse, recorder.pulse] + pool.pulses
      + (bucketEvents.map { [$0.pulse] } ?? [])
    status = try configuration.status.map { [queue, store, schedules, pool, clock] address in
      try StatusEndpoint(
        address,
        parts: StatusEndpoint.Parts(
          queue: queue, store: store, schedules: schedules, workers: pool.workers.map(\.supervisor.board),
          workerLines: { pool.workers.map(\.line) }, pulses: pulses, receipts: receipts, stateFolder: folder),
        metrics: metrics, clock: clock, log: log)
    }
  }

  /// Runs until a signal ends it: then nothing more is claimed, attempts under way may end within the grace or until a
  /// second signal, and the rest is given back and costs no attempt.
  ///
  /// - Parameter onReload: reads log level and whatever else its owner can change; the daemon itself takes over
  ///   schedules, policy and epochs.
  func run(_ signals: DaemonSignals, onReload: () throws -> Void) throws {
    // Whoever held a lease is gone with the process that held it: there is only one.
    for lease in try queue.reap(.all, at: clock.now()) {
      log.warning("was under way when the daemon ended", metadata: ["job": "\(lease.job)"])
      metrics.leaseReaped(lease.fault)
      states.note(CollectionOfOne(lease.job))
    }
    let server = try OperatorServer(listenOn: .unix(configuration.socketPath), log: log) { [desk] in
      try desk.answer($0)
    }
    states.start()
    for relay in relays { relay.start() }
    server.start()
    // Claims, schedules and retention begin when the database knows what the store knows.
    restore.start { [intake, pool, janitor, recorder] in
      intake.start()
      pool.start()
      janitor.start()
      recorder.start()
    }
    bucketEvents?.start()
    uploadSweep?.start()
    status?.start()
    log.info(
      "daemon is ready",
      metadata: [
        "version": "\(Version.full)", "store": "\(store.location)",
        "workers": "\(configuration.workers.map { "\($0.name)=\($0.endpoint)" }.joined(separator: " "))",
      ])
    let manager = ServiceManager(environment: ProcessInfo.processInfo.environment)
    manager.ready("serving \(configuration.workers.count) workers")
    watch(signals, manager, onReload)
    restore.stop(within: 10)
    drain(signals, manager)
    log.info("daemon is stopping; what is under way is given back and costs no attempt")
    bucketEvents?.stop(within: 2)
    uploadSweep?.stop(within: 1)
    janitor.stop(within: 5)
    intake.stop(within: 10)
    pool.stop(within: 20)
    recorder.stop(within: 5)
    server.stop()
    status?.stop()
    states.stop(within: 5)
    for relay in relays { relay.stop() }
    try queue.close()
  }

  private static let lookSeconds = 5.0

  /// Until the first signal that ends the daemon.
  private func watch(_ signals: DaemonSignals, _ manager: ServiceManager, _ onReload: () throws -> Void) {
    var complaint = Complaint()
    while true {
      switch signals.next(within: min(manager.watchdogSeconds ?? Self.lookSeconds, Self.lookSeconds)) {
      case .stop: return
      case .reload:
        manager.reloading()
        reload(onReload)
        manager.ready("serving \(configuration.workers.count) workers")
      case .none:
        // A queue that does not answer holds this thread up, and systemd starts the daemon anew.
        if (try? queue.list(JobFilter(limit: 1))) != nil { manager.isAlive() }
        if let trouble = credentials.trouble {
          if complaint.isDue("\(trouble)") {
            log.warning("credentials are still good but cannot be renewed: \(trouble)")
          }
        } else {
          complaint.clear()
        }
      }
    }
  }

  /// Lets attempts under way end, within the grace or until another signal.
  private func drain(_ signals: DaemonSignals, _ manager: ServiceManager) {
    // The loops behind it have their time too: a program's end, the last states.
    manager.stopping(within: configuration.drainSeconds + 90)
    pool.drain()
    guard !pool.isIdle, configuration.drainSeconds > 0 else { return }
    log.info(
      "daemon is draining: nothing is claimed any more, attempts under way may end; a second signal stops at once",
      metadata: ["seconds": .stringConvertible(configuration.drainSeconds)])
    let limit = ContinuousClock.now + .seconds(configuration.drainSeconds)
    while !pool.isIdle, ContinuousClock.now < limit {
      if signals.next(within: 0.1) == .stop { return log.info("a second signal: stopping at once") }
      if manager.watchdogSeconds != nil { manager.isAlive() }
    }
  }

  /// What fails leaves what was in force.
  private func reload(_ onReload: () throws -> Void) {
    do {
      try onReload()
      try schedules.reload(files: try Self.schedules(configuration))
      log.notice("configuration read again", metadata: ["schedules": .stringConvertible(schedules.inForce.count)])
    } catch {
      log.error("the configuration stays as it was: \(error)")
    }
    // On a thread of its own: a worker that is silent holds its look.
    Thread.detachNewThread { [pool] in pool.forget() }
    intake.wake()
    pool.wake()
  }

  private static func schedules(_ configuration: DaemonConfiguration) throws -> [ScheduleSource] {
    try configuration.schedulesFolder.map { folder in
      try reading("the schedules' folder", folder) { try ScheduleFile.readAll(inFolder: folder) }
    } ?? []
  }

  /// Foundation's words for a file that cannot be used are for its programmers; these are for the operator.
  private static func reading<Value>(_ what: String, _ path: String, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as CocoaError {
      throw CannotStart("\(what) \(path) cannot be used: \(error.localizedDescription)")
    }
  }
}

/// Why the daemon does not start.
struct CannotStart: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
