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
  /// What it runs with.
  struct Settings {
    var storeURL: String
    var stateFolder: String
    var worker: Endpoint
    var relayTarget: RelayTarget
    var policyKey: VerifyingKey?
    var schedulesFolder: String?
    var pollSeconds: Double
    var socketPath: String
    var relayEndpoint: Endpoint
  }

  private let queue: SQLiteQueue
  private let store: any ObjectStore
  private let intake: IntakeLoop
  private let executor: ExecutorLoop
  private let relay: KMSRelay
  private let schedules: [ScheduleDefinition]
  private let clock = SystemClock()
  private let log: Logger
  private let settings: Settings
  private let states: StateWriter

  /// Opens store, database and sockets; starts nothing yet.
  init(_ settings: Settings, credentials: @escaping @Sendable () throws -> AWSCredentials, log: Logger) throws {
    self.settings = settings
    self.log = log
    try FileManager.default.createDirectory(
      atPath: settings.stateFolder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    store = try StoreURL.open(settings.storeURL, create: true)
    queue = try SQLiteQueue(path: settings.stateFolder + "/queue.sqlite")
    schedules = try settings.schedulesFolder.map { try ScheduleFile.readAll(inFolder: $0) } ?? []
    relay = try KMSRelay(listenOn: settings.relayEndpoint, target: settings.relayTarget, log: log)
    let client = WorkerClient(endpoint: settings.worker)
    let states = StateWriter(store: store, clock: clock, log: log)
    self.states = states
    let supervisor = WorkerSupervisor(
      client: client, store: store, relay: relay.endpoint, credentials: credentials, log: log)
    let executor = ExecutorLoop(
      queue: queue, store: store, supervisor: supervisor, client: client, clock: clock, states: states, log: log)
    self.executor = executor
    intake = IntakeLoop(
      queue: queue, inbox: StoreInbox(store: store, policyKey: settings.policyKey), schedules: schedules,
      clock: clock, states: states, interval: settings.pollSeconds, log: log, onWork: { executor.wake() })
  }

  /// Runs until `waitForEnd` returns, then gives back what is under way and ends.
  func run(until waitForEnd: () -> Void) throws {
    // Whoever held a lease is gone with the process that held it: there is only one.
    for lease in try queue.reap(.all, at: clock.now()) {
      log.warning("was under way when the daemon ended", metadata: ["job": "\(lease.job)"])
      try states.write([lease.job], asIn: queue)
    }
    let server = try OperatorServer(listenOn: .unix(settings.socketPath), log: log) { [self] in try answer($0) }
    relay.start()
    server.start()
    intake.start()
    executor.start()
    log.info("daemon is ready", metadata: ["store": "\(store.location)", "worker": "\(settings.worker)"])
    waitForEnd()
    log.info("daemon is stopping; what is under way is given back and costs no attempt")
    server.stop()
    intake.stop(within: 10)
    executor.stop(within: 20)
    relay.stop()
    try queue.close()
  }

  // MARK: What operators ask

  private func answer(_ request: OperatorRequest) throws -> OperatorReply {
    let now = clock.now()
    switch request.verb {
    case .ping: return .done("daemon \(Version.text), store \(store.location), worker \(settings.worker)")
    case .stats: return try stats()
    case .list: return try list(request)
    case .inspect: return try inspect(try job(request))
    case .retry:
      let name = try job(request)
      try queue.retryDead(name, at: now)
      executor.wake()
      return .done("job \(name) will run again")
    case .cancel:
      let name = try job(request)
      let effect = try queue.requestCancel(name, at: now)
      try states.write([name], asIn: queue)
      return .done(effect.rawValue)
    case .pause, .resume:
      guard let name = QueueName(request.queue ?? "") else { return .refused("name the queue") }
      try queue.setPaused(request.verb == .pause, queue: name, at: now)
      executor.wake()
      return .done("queue \(name) is \(request.verb == .pause ? "paused" : "running")")
    case .drain:
      executor.drain()
      return .done("no job will be claimed any more; what is under way goes on")
    case .scheduleList: return scheduleList()
    case .scheduleShow: return try scheduleRuns(request.schedule ?? "")
    case .scheduleRun: return try runSchedule(request.schedule ?? "", at: now)
    case .epochs: return try epochs()
    }
  }

  private func job(_ request: OperatorRequest) throws -> JobName {
    guard let name = JobName(hex: request.job ?? "") else {
      throw Refused("no such job: a job's name is 64 hexadecimal digits")
    }
    return name
  }

  private func stats() throws -> OperatorReply {
    let states: [JobState] = [.held, .ready, .running, .retryWait, .finished, .cancelled, .dead]
    let now = clock.now()
    let rows = try queue.stats().map { stats in
      var row: OperatorRow = ["queue": "\(stats.queue)", "paused": stats.isPaused ? "yes" : "no"]
      for state in states { row[state.rawValue] = "\(stats.counts[state] ?? 0)" }
      row["oldest ready"] = stats.oldestReadyAt.map { "\((now - $0).wholeMilliseconds / 1000) s" } ?? "-"
      return row
    }
    return .table(["queue", "paused"] + states.map(\.rawValue) + ["oldest ready"], rows)
  }

  private func list(_ request: OperatorRequest) throws -> OperatorReply {
    var filter = JobFilter(limit: min(max(request.limit ?? 100, 1), 10_000))
    if let text = request.queue {
      guard let queue = QueueName(text) else { return .refused("no such queue") }
      filter.queue = queue
    }
    if let text = request.state {
      guard let state = JobState(rawValue: text) else {
        return .refused("no such state; states are \(JobState.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      filter.state = state
    }
    let rows = try queue.list(filter).map { job -> OperatorRow in
      [
        "job": "\(job.name)", "queue": "\(job.queue)", "state": job.state.rawValue, "attempt": "\(job.attempt)",
        "outcome": job.commit?.outcome.rawValue ?? "-", "last fault": job.lastFault?.rawValue ?? "-",
        "bytes": "\(job.bundleBytes)",
      ]
    }
    return .table(["job", "queue", "state", "attempt", "outcome", "last fault", "bytes"], rows)
  }

  private func inspect(_ name: JobName) throws -> OperatorReply {
    guard let detail = try queue.inspect(name) else { return .refused("no such job: \(name)") }
    let rows = detail.attempts.map { attempt -> OperatorRow in
      [
        "attempt": "\(attempt.number)", "worker": attempt.owner, "started": Self.time(attempt.startedAt),
        "ended": attempt.endedAt.map(Self.time) ?? "-", "end": attempt.end?.rawValue ?? "-",
        "fault": attempt.fault.map { "\($0.faultClass.rawValue) \($0.detail)" } ?? "-",
      ]
    }
    var reply = OperatorReply.table(["attempt", "worker", "started", "ended", "end", "fault"], rows)
    reply.message = "job \(name): \(detail.job.state.rawValue), queue \(detail.job.queue)"
    return reply
  }

  private func scheduleList() -> OperatorReply {
    let rows = schedules.map { schedule -> OperatorRow in
      ["schedule": schedule.name, "inbox": "inbox/\(schedule.queue)/", "summary": schedule.summary ?? ""]
    }
    return .table(["schedule", "inbox", "summary"], rows)
  }

  private func scheduleRuns(_ name: String) throws -> OperatorReply {
    guard schedules.contains(where: { $0.name == name }) else { return .refused("no such schedule: \(name)") }
    let rows = try queue.runs(of: name, limit: 50).map { run -> OperatorRow in
      let members = run.members.sorted { $0.key.rawValue < $1.key.rawValue }
      return [
        "run": "\(run.id)", "nominal": Self.time(run.nominalAt), "by": run.trigger.rawValue,
        "skipped": run.skipped?.rawValue ?? "-", "over": run.isOver ? "yes" : "no",
        "members": members.map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", "),
      ]
    }
    return .table(["run", "nominal", "by", "skipped", "over", "members"], rows)
  }

  private func runSchedule(_ name: String, at now: Timestamp) throws -> OperatorReply {
    // What was uploaded a moment ago belongs to this run, so the inbox is read first.
    var driver = IntakeDriver(
      routes: InboxRoutes(schedules: schedules), store: queue,
      inbox: StoreInbox(store: store, policyKey: settings.policyKey))
    _ = try driver.pass(at: now)
    guard let opened = try SchedulerDriver(schedules, store: queue).runNow(name, at: now) else {
      return .refused("no such schedule: \(name)")
    }
    try states.write(membersOf: opened.run, in: queue)
    executor.wake()
    return .done("run \(opened.run) of \(name) took \(opened.members) bundle\(opened.members == 1 ? "" : "s")")
  }

  private func epochs() throws -> OperatorReply {
    var rows: [OperatorRow] = []
    try store.forEach(prefix: StoreLayout.epochs) { info in
      if info.key.text.hasSuffix("/announcement.cose"),
        let claims = try? UnverifiedStatement<AnnouncementClaims>(try store.getSmall(info.key))
          .signedByItsOwnKey().signed.claims
      {
        rows.append([
          "epoch": "\(claims.epoch)", "from": Self.time(Timestamp(milliseconds: Int64(clamping: claims.notBeforeMs))),
          "until": Self.time(Timestamp(milliseconds: Int64(clamping: claims.notAfterMs))), "kms key": claims.kmsKey,
        ])
      }
      return true
    }
    return .table(["epoch", "from", "until", "kms key"], rows)
  }

  private static func time(_ moment: Timestamp) -> String {
    Date(timeIntervalSince1970: Double(moment.milliseconds) / 1000).ISO8601Format()
  }

  private struct Refused: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }
}
