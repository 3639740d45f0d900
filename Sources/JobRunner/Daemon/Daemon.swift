import Foundation
import Logging
import ObjectStore
import Queue
import SealedCrypto
import Wire

/// The host's daemon: intake, schedules, executors, the KMS relay and the operator's socket over one queue.
///
/// It holds no key and no plaintext. Everything durable is in the queue's database and the object store, so it may be
/// killed at any point.
final class Daemon: Sendable {
  private let queue: SQLiteQueue
  private let store: any ObjectStore
  private let intake: IntakeLoop
  private let executor: ExecutorLoop
  private let janitor: JanitorLoop
  private let relay: KMSRelay
  private let desk: OperatorDesk
  private let clock = SystemClock()
  private let log: Logger
  private let configuration: DaemonConfiguration
  private let states: StateWriter
  private let credentialKeeper: CredentialKeeper
  private let watch: WorkerWatch
  private let events: EventWatch?
  private let uploadSweep: UploadSweep?
  private let status: StatusEndpoint?

  /// Opens store, database and sockets; starts nothing yet.
  init(_ configuration: DaemonConfiguration, credentials: DefaultCredentials, log: Logger) throws {
    self.configuration = configuration
    guard let worker = configuration.workers.first, configuration.workers.count == 1 else {
      throw CannotStart("one worker is served; name one")
    }
    let settings = configuration
    self.log = log
    try Self.reading("the state folder", settings.stateFolder) { try StateFolder.prepare(settings.stateFolder, log) }
    let metrics = DaemonMetrics()
    store = try StoreURL.open(settings.storeURL, create: true, observer: metrics)
    queue = try SQLiteQueue(
      path: settings.stateFolder + "/" + StateFolder.database, program: Version.text,
      backups: StateFolder.migrationBackups(settings.stateFolder))
    if let backup = queue.migrationBackup {
      log.notice("the database was migrated", metadata: ["backup": "\(backup.path)"])
    }
    queue.observeCommits { metrics.commitSeconds.observe($0) }
    let files = try settings.schedulesFolder.map { folder in
      try Self.reading("the schedules' folder", folder) { try ScheduleFile.readAll(inFolder: folder) }
    }
    let schedules = try ScheduleBook(files: files ?? [], store: queue)
    for entry in schedules.entries {
      guard let trouble = entry.trouble else { continue }
      log.warning("an added schedule is not in force: \(trouble)", metadata: ["schedule": "\(entry.name)"])
    }
    let relay = try KMSRelay(listenOn: settings.relayListen, target: settings.relayTarget, log: log)
    self.relay = relay
    let client = WorkerClient(
      endpoint: worker.endpoint, stallMilliseconds: Int32(settings.workerSilenceSeconds * 1000))
    let states = StateWriter(store: store, queue: queue, clock: clock, log: log)
    self.states = states
    let supervisor = WorkerSupervisor(
      client: client, store: store, relay: settings.relayAddress ?? relay.address, policyKey: settings.policyKey,
      credentials: credentials,
      onPolicy: { relay.follow($0) }, log: log)
    credentialKeeper = CredentialKeeper(source: credentials, supervisor: supervisor, log: log)
    watch = WorkerWatch(supervisor)
    let executor = ExecutorLoop(
      queue: queue, store: store, supervisor: supervisor, client: client, clock: clock, states: states, log: log)
    self.executor = executor
    let receipts = RecentReceipts()
    executor.onEnd = { lease, result in
      let now = SystemClock().now()
      receipts.note(lease, result, at: now)
      metrics.attemptEnded(
        worker: "\(worker.endpoint)", queue: lease.queue,
        seconds: Double(now.milliseconds - lease.claimedAt.milliseconds) / 1000, ending: result.observed)
    }
    let inbox = StoreInbox(store: store, policyKey: settings.policyKey)
    intake = IntakeLoop(
      queue: queue, inbox: inbox, schedules: schedules, clock: clock, states: states,
      interval: settings.pollSeconds, log: log, events: metrics, onWork: { executor.wake() })
    let queueOfEvents = try settings.eventQueue.map { try EventQueue(url: $0, credentials: credentials) }
    events = queueOfEvents.map { [intake] queue in EventWatch(queue, log: log) { intake.hint() } }
    uploadSweep = UploadSweep(store, log: log)
    janitor = JanitorLoop(
      queue: queue, store: store, policy: settings.retention, clock: clock, states: states, log: log)
    desk = OperatorDesk(
      queue: queue, inbox: inbox, executor: executor, janitor: janitor, schedules: schedules,
      onSchedules: { [intake] in intake.wake() },
      clock: clock, states: states, epochs: EpochDesk(supervisor: supervisor),
      database: DatabaseDesk(queue: queue),
      about: "daemon \(Version.full), store \(store.location), worker \(worker.endpoint)")
    status = try settings.status.map { [queue, store, intake, watch, credentialKeeper, clock] address in
      try StatusEndpoint(
        address,
        parts: StatusEndpoint.Parts(
          queue: queue, store: store, schedules: schedules, workers: [supervisor.board],
          pulses: [intake.pulse, executor.pulse, states.pulse, watch.pulse, credentialKeeper.pulse],
          receipts: receipts, stateFolder: settings.stateFolder),
        metrics: metrics, clock: clock, log: log)
    }
  }

  /// Runs until `waitForEnd` returns, then gives back what is under way and ends.
  func run(until waitForEnd: () -> Void) throws {
    // Whoever held a lease is gone with the process that held it: there is only one.
    for lease in try queue.reap(.all, at: clock.now()) {
      log.warning("was under way when the daemon ended", metadata: ["job": "\(lease.job)"])
      states.note(CollectionOfOne(lease.job))
    }
    let server = try OperatorServer(listenOn: .unix(configuration.socketPath), log: log) { [desk] in try desk.answer($0)
    }
    states.start()
    relay.start()
    server.start()
    intake.start()
    executor.start()
    janitor.start()
    credentialKeeper.start()
    watch.start()
    events?.start()
    uploadSweep?.start()
    status?.start()
    log.info(
      "daemon is ready",
      metadata: [
        "version": "\(Version.full)", "store": "\(store.location)", "worker": "\(configuration.workers[0].endpoint)",
      ])
    waitForEnd()
    log.info("daemon is stopping; what is under way is given back and costs no attempt")
    server.stop()
    status?.stop()
    credentialKeeper.stop(within: 1)
    watch.stop(within: 2)
    events?.stop(within: 2)
    uploadSweep?.stop(within: 1)
    janitor.stop(within: 5)
    intake.stop(within: 10)
    executor.stop(within: 20)
    states.stop(within: 5)
    relay.stop()
    try queue.close()
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
