import Foundation
import Glibc
import Logging
import Synchronization

/// A worker's program that the daemon itself starts, and starts again when it ends: after a pause that doubles each time
/// and is drawn, and that begins anew once the program ran for a while.
///
/// What it writes goes to the daemon's log, line by line: bounded in length and in number, since a program that writes
/// without end must not fill a disk.
final class WorkerProgram: Sendable {
  private let command: StartCommand
  private let worker: String
  private let events: any DaemonEvents
  private let log: Logger
  private let loop = StoppableLoop("program")
  private let running = Mutex<Int32?>(nil)
  private static let baseSeconds = 1.0
  private static let capSeconds = 60.0
  /// A program that ran so long had started well.
  private static let goodSeconds = 60.0
  private static let lookSeconds = 0.1

  init(_ command: StartCommand, worker: String, events: any DaemonEvents, log: Logger) {
    self.command = command
    self.worker = worker
    self.events = events
    self.log = log
  }

  /// The process that runs now.
  var processID: Int32? { running.withLock { $0 } }

  /// Starts the program and keeps it running, on a thread of its own.
  func start() { loop.start { [self] in run() } }

  /// SIGTERM to its process group, SIGKILL after the time that it has for its end; waits for that.
  func stop() { loop.stop(within: command.stopSeconds + 5) }

  private func run() {
    var failures = 0
    var isFirst = true
    repeat {
      if !isFirst { events.workerRestarted(worker) }
      isFirst = false
      let begin = ContinuousClock.now
      runOnce()
      failures = (ContinuousClock.now - begin).inSeconds > Self.goodSeconds ? 0 : failures + 1
    } while loop.rest(atMost: Self.pause(afterFailures: failures), ignoringWakes: true)
  }

  /// Exponential, capped, with full jitter above a tenth of a second.
  static func pause(afterFailures failures: Int) -> Double {
    let ceiling = min(capSeconds, baseSeconds * Double(1 << min(max(failures, 0), 10)))
    return 0.1 + Double.random(in: 0...ceiling)
  }

  private func runOnce() {
    let child: ChildProcess
    do { child = try ChildProcess(command) } catch {
      return log.error("the worker's program cannot be started: \(error)")
    }
    running.withLock { $0 = child.pid }
    defer { running.withLock { $0 = nil } }
    log.info("the worker's program is started", metadata: ["pid": .stringConvertible(child.pid)])
    let reader = StoppableLoop("program output")
    reader.start { [log] in
      OutputLines(log).copy(from: child.output)
      close(child.output)
    }
    let end = wait(for: child)
    // What it left of its group would hold the pipe open, and its sockets.
    child.signal(SIGKILL)
    reader.stop(within: 2)
    if loop.isStopping {
      log.info("the worker's program has ended: \(end)")
    } else {
      log.warning("the worker's program has ended: \(end); it is started again")
    }
  }

  private func wait(for child: ChildProcess) -> String {
    while loop.rest(atMost: Self.lookSeconds, ignoringWakes: true) {
      if let end = child.ended() { return end }
    }
    child.signal(SIGTERM)
    let limit = ContinuousClock.now + .seconds(command.stopSeconds)
    while ContinuousClock.now < limit {
      if let end = child.ended() { return end }
      usleep(20_000)
    }
    child.signal(SIGKILL)
    while true {
      if let end = child.ended() { return end + ", killed after \(command.stopSeconds) s" }
      usleep(20_000)
    }
  }
}

/// Copies a program's lines into a log, so many a second at most.
struct OutputLines {
  private let log: Logger
  private static let lineBytes = 1000
  private static let linesPerSecond = 50

  init(_ log: Logger) { self.log = log }

  /// Until the descriptor's end.
  func copy(from descriptor: Int32) {
    var line: [UInt8] = []
    var second = ContinuousClock.now
    var count = 0
    var dropped = 0
    func put() {
      defer { line = [] }
      guard !line.isEmpty else { return }
      if ContinuousClock.now - second > .seconds(1) {
        if dropped > 0 { log.warning("\(dropped) lines of the worker's program were left out") }
        (second, count, dropped) = (.now, 0, 0)
      }
      count += 1
      guard count <= Self.linesPerSecond else { return dropped += 1 }
      log.info("program: \(Shown.printable(String(decoding: line, as: UTF8.self), limit: Self.lineBytes))")
    }
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let got = read(descriptor, &buffer, buffer.count)
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { break }
      for byte in buffer[..<got] {
        if byte == UInt8(ascii: "\n") { put() } else if line.count < Self.lineBytes { line.append(byte) }
      }
    }
    put()
    if dropped > 0 { log.warning("\(dropped) lines of the worker's program were left out") }
  }
}
