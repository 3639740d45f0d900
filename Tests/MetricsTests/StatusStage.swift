import Foundation
import Logging
import Queue
import Synchronization
import Wire

@testable import JobRunner

/// A status endpoint over figures that a test writes.
final class StatusStage: Sendable {
  let metrics = DaemonMetrics()
  let snapshot = Mutex<StatusSnapshot?>(nil)
  let pulses: [LoopPulse]
  let server: StatusServer
  let port: Int

  init(pulses: [LoopPulse] = [], hosts: [String] = [], connectionSeconds: Int64 = 30) throws {
    self.pulses = pulses
    let holder = RoutesHolder()
    server = try StatusServer(
      try StatusAddress("127.0.0.1:0"), hosts: hosts, connectionSeconds: connectionSeconds
    ) { holder.answer($0) }
    guard case .tcp(_, let port) = server.boundAddress else { throw CannotStart("no port") }
    self.port = port
    holder.set(
      StatusRoutes(
        metrics: metrics, pulses: { pulses }, snapshot: { [weak self] in self?.snapshot.withLock { $0 } },
        clock: SystemClock()))
  }

  deinit { server.stop() }

  func show(_ snapshot: StatusSnapshot?) { self.snapshot.withLock { $0 = snapshot } }

  /// The routes come after the server, which needs them.
  private final class RoutesHolder: Sendable {
    private let routes = Mutex<StatusRoutes?>(nil)
    func set(_ new: StatusRoutes) { routes.withLock { $0 = new } }
    func answer(_ request: StatusRequest) -> StatusResponse {
      routes.withLock { $0 }?.answer(request) ?? .plain(.serviceUnavailable, "not yet")
    }
  }
}

extension StatusSnapshot {
  /// A daemon at work; every text is given.
  static func sample(
    name: String = "nightly", ready: Bool = true, takenMs: Int64 = SystemClock().now().milliseconds
  ) -> StatusSnapshot {
    let fault = ready ? nil : "\(name) is away"
    var jobs = Dictionary(uniqueKeysWithValues: JobState.allCases.map { ($0.rawValue, Int64(0)) })
    jobs["ready"] = 7
    jobs["dead"] = 1
    var receipt = ReceiptLine(
      job: SHA256Sample.name, queue: QueueName("default")!, outcome: name, finished: Timestamp(milliseconds: takenMs),
      attempts: 2, bundleBytes: 100_000)
    receipt.queue = name
    return StatusSnapshot(
      takenMs: takenMs, about: DaemonAbout(version: name, commit: name, startedMs: takenMs - 90_000, store: name),
      readiness: Readiness([.init("store", fault: fault), .init("queue", fault: nil)]),
      policy: PolicyLine(version: 3, expiresMs: UInt64(takenMs) + 86_400_000),
      epoch: EpochLine(number: 4, fromMs: 1, untilMs: UInt64(takenMs) + 3_600_000),
      queues: [QueueLine(queue: name, isPaused: true, jobs: jobs, oldestReadyMs: takenMs - 200_000)],
      workers: [
        WorkerLine(
          worker: name, state: name, isReady: ready, reason: name, image: name, evidence: "development",
          sinceMs: takenMs)
      ],
      schedules: [
        ScheduleLine(
          schedule: name, summary: name, queue: name, isPaused: true, nextMs: takenMs + 5000,
          lastRun: RunLine(nominalMs: takenMs - 5000, status: name, members: 3), lastSuccessMs: takenMs - 5000)
      ], receipts: [receipt])
  }
}

/// A job's name.
enum SHA256Sample {
  static let name: JobName = {
    do { return try JobName([UInt8](repeating: 0xab, count: 32)) } catch { preconditionFailure("\(error)") }
  }()
}
