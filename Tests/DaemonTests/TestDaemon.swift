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
  private let credentials: AWSCredentials

  init() throws {
    credentials = AWSCredentials(accessKeyID: "AKIATEST", secret: try SecretBytes(copying: [1, 2, 3]))
    folder = NSTemporaryDirectory() + "/h-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    store = try ScriptedStore(folder: folder + "/store")
    queue = try SQLiteQueue(path: folder + "/queue.sqlite")
    worker = .unix(folder + "/w.sock")
    states = StateWriter(
      store: store, queue: queue, clock: SystemClock(), log: log.logger, pauseAfterFailureSeconds: 0.05)
    _ = try store.put(try ObjectKey(StoreLayout.policy), [1], .always)
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

  private func supervisor() -> WorkerSupervisor {
    WorkerSupervisor(
      client: WorkerClient(endpoint: .direct(worker)), store: store, relay: .unix(folder + "/r.sock"), policyKey: nil,
      credentials: FixedCredentials(credentials), onPolicy: { _ in }, log: log.logger)
  }

  func executor() -> ExecutorLoop {
    ExecutorLoop(
      queue: queue, store: store, supervisor: supervisor(), client: WorkerClient(endpoint: .direct(worker)),
      clock: SystemClock(), states: states,
      log: log.logger)
  }

  func janitor(_ policy: RetentionPolicy = RetentionPolicy()) -> JanitorLoop {
    JanitorLoop(
      queue: queue, store: store, policy: policy, clock: SystemClock(), states: states, log: log.logger)
  }

  func desk(files: [ScheduleSource] = []) throws -> OperatorDesk {
    try OperatorDesk(
      queue: queue, inbox: StoreInbox(store: store, policyKey: nil), executor: executor(), janitor: janitor(),
      schedules: ScheduleBook(files: files, store: queue), onSchedules: {}, clock: SystemClock(), states: states,
      epochs: EpochDesk(supervisor: supervisor()), database: DatabaseDesk(queue: queue), about: "test")
  }

  /// Puts a bundle into the inbox, and into the queue unless the intake is to find it.
  @discardableResult
  func upload(_ text: String, enqueued: Bool = true) throws -> JobName {
    let bytes = Array(text.utf8)
    let name = SHA256.digest(of: bytes)
    _ = try store.put(try ObjectKey(StoreLayout.bundle(name, queue: "default")), bytes, .always)
    if enqueued {
      let queueName = try #require(QueueName("default"))
      _ = try queue.enqueue([NewJob(name, queue: queueName, bundleBytes: Int64(bytes.count))], at: SystemClock().now())
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
  func increment() { number.withLock { $0 += 1 } }
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
