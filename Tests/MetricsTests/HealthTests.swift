import Foundation
import Queue
import Synchronization
import TestSupport
import Testing

@testable import JobRunner

@Suite("Health and readiness", .timeLimit(.minutes(5)))
struct HealthTests {
  @Test("A loop that hangs in its round is named, and the answer is 503; when it turns again it is 200")
  func hangingLoop() throws {
    let loop = StoppableLoop("intake", allowanceSeconds: 0.05)
    let hangs = Mutex(true)
    let stage = try StatusStage(pulses: [loop.pulse, LoopPulse("executor", allowanceSeconds: 60)])
    loop.start { while loop.rest(atMost: 0.001) { while hangs.withLock({ $0 }) { usleep(1000) } } }
    var answer = ""
    // A thread that had no turn in time is named too, as one that did not wake; the hang comes after that.
    repeat { answer = try RawClient.get(stage.port, "/healthz") } while !answer.contains("intake: at work on one round")
    #expect(answer.httpStatus == 503 && answer.contains("\"failing\""))
    #expect(!answer.contains("executor: "))
    #expect(try RawClient.get(stage.port, "/metrics").contains("ephemeral_loop_stalled{loop=\"intake\"} 1"))
    #expect(try RawClient.get(stage.port, "/status").contains("Not healthy"))
    hangs.withLock { $0 = false }
    repeat { answer = try RawClient.get(stage.port, "/healthz") } while answer.httpStatus == 503
    #expect(answer.httpStatus == 200 && answer.contains("\"ok\""))
    loop.stop(within: 5)
  }

  @Test("A pulse judges by what it was told: rest, work, signs of life, and its end")
  func pulses() {
    let pulse = LoopPulse("l", allowanceSeconds: 60)
    let now = SuspendingClock.now
    #expect(pulse.fault(at: now + .seconds(9999)) == nil)
    pulse.work()
    #expect(pulse.fault(at: now + .seconds(50)) == nil)
    #expect(pulse.fault(at: now + .seconds(90))?.hasPrefix("l: at work") == true)
    pulse.rest(atMost: nil)
    #expect(pulse.fault(at: now + .seconds(9999)) == nil)
    pulse.rest(atMost: 100)
    #expect(pulse.fault(at: now + .seconds(150)) == nil)
    #expect(pulse.fault(at: now + .seconds(200))?.contains("did not wake") == true)
    pulse.end(asTold: true)
    #expect(pulse.fault(at: now + .seconds(9999)) == nil)
    pulse.end(asTold: false)
    #expect(pulse.fault(at: now)?.contains("ended by itself") == true)
  }

  @Test("A loop whose body returns though nobody told it to is no healthy loop; one that was stopped is")
  func endings() {
    let broken = StoppableLoop("broken", allowanceSeconds: 60)
    broken.start {}
    while broken.pulse.fault() == nil { usleep(1000) }
    let stopped = StoppableLoop("stopped", allowanceSeconds: 60)
    stopped.start { while stopped.rest() {} }
    stopped.stop(within: 10)
    #expect(stopped.pulse.fault() == nil && stopped.pulse.word == "ended")
  }

  @Test("Readiness names each condition that is not met, with 503; without figures, and with old ones, it is not ready")
  func readiness() throws {
    let stage = try StatusStage()
    #expect(try RawClient.get(stage.port, "/readyz").httpStatus == 503)
    #expect(try RawClient.get(stage.port, "/status.json").httpStatus == 503)
    #expect(try RawClient.get(stage.port, "/healthz").httpStatus == 200)
    stage.show(.sample())
    #expect(try RawClient.get(stage.port, "/readyz").httpStatus == 200)
    stage.show(.sample(name: "the bucket", ready: false))
    let answer = try RawClient.get(stage.port, "/readyz")
    #expect(answer.httpStatus == 503)
    let body = try #require(
      try JSONSerialization.jsonObject(with: Data(answer.httpBody.utf8)) as? [String: Any])
    #expect(body["ready"] as? Bool == false && body["reasons"] as? [String] == ["store: the bucket is away"])
    #expect((body["checks"] as? [[String: Any]])?.count == 2)
    stage.show(.sample(takenMs: SystemClock().now().milliseconds - 61_000))
    let old = try RawClient.get(stage.port, "/readyz")
    #expect(old.httpStatus == 503 && old.contains("does not answer"))
  }

  @Test("What the keeper gathers: each part that fails is named, and figures that were there stay")
  func keeper() throws {
    struct Away: Error, CustomStringConvertible { let description = "the disk is away" }
    let fails = Mutex(false)
    let isReady = Mutex(true)
    let policyEnds = Mutex<UInt64?>(.max)
    let metrics = DaemonMetrics()
    let clock = SystemClock()
    let keeper = SnapshotKeeper(
      StatusSources(
        about: DaemonAbout(version: "1", commit: "c", startedMs: 0, store: "file:///x"),
        queues: {
          if fails.withLock({ $0 }) { throw Away() }
          return [
            QueueLine(
              queue: "default", isPaused: false, jobs: ["ready": 5],
              oldestReadyMs: clock.now().milliseconds - 100_000)
          ]
        },
        proveWritable: {}, schedules: { _ in [] },
        workers: {
          let ready = isReady.withLock { $0 }
          return [
            WorkerLine(worker: "w", state: ready ? "ready" : "not_ready", isReady: ready, reason: ready ? nil : "gone")
          ]
        },
        policy: { policyEnds.withLock { $0 }.map { PolicyLine(version: 2, expiresMs: $0) } }, epoch: { nil },
        storeFault: { isReady.withLock { $0 } ? nil : "no answer" }, receipts: { [] }, stateFolder: "/"),
      metrics: metrics, clock: clock)
    keeper.look()
    #expect(keeper.latest?.readiness.isReady == true)
    var text = metrics.exposition(as: .text)
    #expect(text.contains("ephemeral_queue_jobs{queue=\"default\",state=\"ready\"} 5\n"))
    #expect(text.contains("ephemeral_worker_ready{worker=\"w\"} 1\n") && text.contains("ephemeral_policy_version 2\n"))
    #expect(!text.contains("ephemeral_epoch_expiry"))
    // A ready worker has one in force, also where the host cannot read it; one that is read and past its end is none.
    policyEnds.withLock { $0 = nil }
    keeper.look()
    #expect(keeper.latest?.readiness.isReady == true)
    policyEnds.withLock { $0 = 1 }
    keeper.look()
    #expect(keeper.latest?.readiness.reasons.first?.contains("version 2 has ended") == true)
    policyEnds.withLock { $0 = nil }
    fails.withLock { $0 = true }
    isReady.withLock { $0 = false }
    keeper.look()
    let reasons = keeper.latest?.readiness.reasons ?? []
    #expect(reasons.count == 4)
    #expect(reasons.contains("queue: the disk is away") && reasons.contains("workers: w: gone"))
    #expect(keeper.latest?.queues.first?.jobs["ready"] == 5)
    text = metrics.exposition(as: .text)
    for line in ["ephemeral_ready{check=\"store\"} 0", "ephemeral_worker_ready{worker=\"w\"} 0"] {
      #expect(text.contains(line + "\n"))
    }
    // A policy that is no longer in force has no version any more, rather than an old one.
    #expect(!text.contains("ephemeral_policy_version"))
  }

  @Test("Looks that take long are followed by longer rests, never so long that their figures pass for stale")
  func rests() {
    #expect(SnapshotKeeper.rest(5, after: .milliseconds(30)) == 5)
    #expect(SnapshotKeeper.rest(5, after: .seconds(2)) == 20)
    for seconds in [4, 20, 3_600] {
      let rest = SnapshotKeeper.rest(5, after: .seconds(seconds))
      #expect(rest > 5 && .seconds(rest) < StatusRoutes.staleAfter)
    }
  }

  @Test("The queue's proof of writing writes, and changes nothing")
  func proof() throws {
    let folder = NSTemporaryDirectory() + "/p-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/q.sqlite"
    let queue = try SQLiteQueue(path: path)
    let before = ProcessFigures.fileBytes(path + "-wal")
    try queue.proveWritable()
    #expect(ProcessFigures.fileBytes(path + "-wal") > before)
    #expect(try queue.integrityFaults().isEmpty && queue.stats().isEmpty && queue.recentlyEnded(limit: 5).isEmpty)
    try queue.close()
    #expect(throws: QueueError.self) { try queue.proveWritable() }
  }
}
