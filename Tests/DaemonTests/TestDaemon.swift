import Crypto
import Foundation
import Logging
import ObjectStore
import Queue
import SealedCrypto
import Synchronization
import Testing
import Wire

@testable import JobRunner

/// A daemon's parts over a scripted store, in a folder of their own.
final class TestDaemon: Sendable {
  let folder: String
  let store: ScriptedStore
  let queue: SQLiteQueue
  let states: StateWriter
  let log = LogLines()
  let worker: Endpoint
  /// What workers of this host share.
  let shared: WorkerSurroundings
  private let relay: KMSRelay

  init(events: any DaemonEvents = NoDaemonEvents()) throws {
    let credentials = AWSCredentials(accessKeyID: "AKIATEST", secret: try SecretBytes(copying: [1, 2, 3]))
    folder = NSTemporaryDirectory() + "/h-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    store = try ScriptedStore(folder: folder + "/store")
    queue = try SQLiteQueue(path: folder + "/queue.sqlite")
    worker = .unix(folder + "/w.sock")
    states = StateWriter(
      store: store, queue: queue, clock: SystemClock(), log: log.logger, pauseAfterFailureSeconds: 0.05)
    _ = try store.put(try ObjectKey(StoreLayout.policy), [1], .always)
    relay = try KMSRelay(listenOn: .unix(folder + "/r.sock"), target: .automatic, log: log.logger)
    shared = WorkerSurroundings(
      queue: queue, store: store, clock: SystemClock(), states: states,
      policies: StorePolicy(store: store, policyKey: nil), shelf: EpochShelf(store: store), roster: WorkerRoster(),
      credentials: FixedCredentials(credentials), events: events, log: log.logger)
  }

  deinit {
    try? queue.close()
    try? FileManager.default.removeItem(atPath: folder)
  }

  /// An intake loop; `onWork` counts into `found`.
  func intake(found: Counter = Counter(), schedules: ScheduleBook? = nil) throws -> IntakeLoop {
    try IntakeLoop(
      queue: queue, inbox: StoreInbox(store: store, policyKey: nil),
      schedules: schedules ?? ScheduleBook(files: [], store: queue), clock: SystemClock(),
      states: states, interval: 0.02, log: log.logger, onWork: { found.increment() })
  }

  /// A worker of this host at a socket of its folder.
  ///
  /// - Parameter socket: nil is the host's ``worker``.
  func managed(
    _ name: String = "w", at socket: String? = nil, queues: [QueueName]? = nil, start: StartCommand? = nil
  ) throws -> ManagedWorker {
    var settings = try WorkerSettings("\(name)=\(socket.map { "unix:\(folder)/\($0)" } ?? "\(worker)")", number: 1)
    settings.queues = queues
    settings.start = start
    return ManagedWorker(settings, relay: relay, relayAddress: relay.address, silenceSeconds: 60, in: shared)
  }

  func executor() throws -> ExecutorLoop { try managed().executor }

  func janitor(_ policy: RetentionPolicy = RetentionPolicy()) -> JanitorLoop {
    JanitorLoop(
      queue: queue, store: store, policy: policy, clock: SystemClock(), states: states, log: log.logger)
  }

  func desk(files: [ScheduleSource] = [], workers: [ManagedWorker]? = nil) throws -> OperatorDesk {
    let pool = WorkerPool(try workers ?? [managed()])
    return try OperatorDesk(
      queue: queue, inbox: StoreInbox(store: store, policyKey: nil),
      workers: WorkersDesk(pool: pool, startedAt: SystemClock().now()), janitor: janitor(),
      schedules: ScheduleBook(files: files, store: queue), onSchedules: {}, clock: SystemClock(), states: states,
      epochs: EpochDesk(pool: pool), database: DatabaseDesk(queue: queue, restore: restore), about: "test")
  }

  var restore: StoreRestore { StoreRestore(queue: queue, store: store, clock: SystemClock(), log: log.logger) }

  /// Puts a bundle into the inbox, and into the queue unless the intake is to find it.
  @discardableResult
  func upload(_ text: String, enqueued: Bool = true, to queueName: String = "default") throws -> JobName {
    let bytes = Array(text.utf8)
    let name = SHA256.digest(of: bytes)
    _ = try store.put(try ObjectKey(StoreLayout.bundle(name, queue: queueName)), bytes, .always)
    if enqueued {
      let place = try #require(QueueName(queueName))
      _ = try queue.enqueue([NewJob(name, queue: place, bundleBytes: Int64(bytes.count))], at: SystemClock().now())
    }
    return name
  }

  /// What state.json says; nil while there is none.
  func said(of job: JobName) -> JobStateRecord? {
    guard let key = try? ObjectKey(StoreLayout.state(job)), let bytes = try? store.getSmall(key) else { return nil }
    return try? StoreRecord.decode(JobStateRecord.self, bytes)
  }

  func state(of job: JobName) throws -> JobState? { try queue.inspect(job)?.job.state }
}

/// Waits for what another thread does; the suites' time limit ends a wait in vain.
func eventually(_ condition: () throws -> Bool) rethrows {
  while try !condition() { usleep(2000) }
}

/// A number that threads share.
final class Counter: Sendable {
  private let number = Mutex(0)
  var value: Int { number.withLock { $0 } }
  @discardableResult func increment() -> Int {
    number.withLock {
      $0 += 1
      return $0
    }
  }
}

/// What was logged.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])

  var logger: Logger {
    var logger = Logger(label: "test") { [self] _ in Handler(lines: self) }
    logger.logLevel = .debug
    return logger
  }

  /// Lines of a level that contain a text.
  func count(_ level: Logger.Level, _ text: String) -> Int {
    lines.withLock { $0.filter { $0.hasPrefix("\(level) ") && $0.contains(text) }.count }
  }

  private struct Handler: LogHandler {
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.lines.withLock { $0.append("\(event.level) \(event.message)") } }
  }
}

/// Names of jobs.
enum SHA256Name {
  static func of(_ text: String) -> JobName { SHA256.digest(of: Array(text.utf8)) }
}
