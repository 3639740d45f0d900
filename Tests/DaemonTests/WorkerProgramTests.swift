import Foundation
import Glibc
import Logging
import Synchronization
import Testing

@testable import JobRunner

/// Programs that the daemon starts for its workers, and what systemd hears.
@Suite("The daemon's own programs", .timeLimit(.minutes(10)))
struct WorkerProgramTests {
  private func program(
    _ script: String, environment: [String: String] = [:], stopSeconds: Double = 10, log: LogLines,
    events: any DaemonEvents = NoDaemonEvents()
  ) throws -> WorkerProgram {
    var command = try StartCommand(["/bin/sh", "-c", script])
    command.environment = environment
    command.stopSeconds = stopSeconds
    return WorkerProgram(command, worker: "w", events: events, log: log.logger)
  }

  @Test("it has the given environment alone, its lines are in the log, and the stop ends its whole process group")
  func group() throws {
    let log = LogLines()
    let file = NSTemporaryDirectory() + "child-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: file) }
    setenv("EPHEMERAL_TEST_SECRET", "leaked", 1)
    let program = try program(
      "env; ls /proc/self/fd | wc -l | sed 's/^/open /'; sleep 1000 & echo $! > '\(file)'; wait",
      environment: ["ENCLAVE_CID": "16"], log: log)
    program.start()
    eventually { (try? String(contentsOfFile: file, encoding: .utf8))?.hasSuffix("\n") ?? false }
    eventually { log.count(.info, "program: ENCLAVE_CID=16") == 1 && log.count(.info, "program: open 4") == 1 }
    #expect(log.count(.info, "leaked") == 0)
    let child = try #require(Int32(try String(contentsOfFile: file, encoding: .utf8).dropLast()))
    #expect(program.processID != nil && kill(child, 0) == 0)
    program.stop()
    #expect(program.processID == nil)
    eventually { kill(child, 0) != 0 }
    #expect(log.count(.info, "has ended: signal 15") == 1)
  }

  @Test("one that ends is started again, and one that ignores SIGTERM is killed")
  func restarts() throws {
    let log = LogLines()
    let restarts = Restarts()
    let ending = try program("exit 3", log: log, events: restarts)
    ending.start()
    eventually { restarts.count >= 2 }
    ending.stop()
    #expect(log.count(.warning, "has ended: exit 3; it is started again") >= 2)
    let stubborn = try program("trap '' TERM; echo here; while :; do sleep 0.1; done", stopSeconds: 0.2, log: log)
    stubborn.start()
    eventually { log.count(.info, "program: here") == 1 }
    stubborn.stop()
    #expect(log.count(.info, "has ended: signal 9") == 1)
  }

  @Test("one that writes without end fills neither memory nor log")
  func noise() throws {
    let log = LogLines()
    let program = try program(
      "yes | head -n 100000; head -c 100000 /dev/zero | tr '\\0' x; echo; sleep 1.5; echo after; sleep 1000", log: log)
    program.start()
    eventually { log.count(.info, "program: after") == 1 }
    #expect(log.count(.warning, "lines of the worker's program were left out") >= 1)
    program.stop()
    #expect(log.count(.info, "program: ") < 2000)
  }

  @Test("a program that is not there is said, and does not end the daemon")
  func missing() throws {
    let log = LogLines()
    let program = WorkerProgram(
      try StartCommand(["/no/such/program"]), worker: "w", events: NoDaemonEvents(), log: log.logger)
    program.start()
    eventually { log.count(.error, "/no/such/program") >= 1 }
    program.stop()
  }

  @Test("restarts wait longer each time, up to a minute")
  func pauses() {
    for (failures, longest) in [(0, 1.1), (1, 2.1), (3, 8.1), (50, 60.1)] {
      let pauses = (0..<200).map { _ in WorkerProgram.pause(afterFailures: failures) }
      #expect(pauses.allSatisfy { $0 >= 0.1 && $0 <= longest })
      #expect((pauses.max() ?? 0) > longest / 2)
    }
  }

  @Test("systemd hears that the daemon is ready, alive, and stopping; without a socket nothing is said")
  func serviceManager() throws {
    let path = NSTemporaryDirectory() + "n-\(UInt32.random(in: 0 ... .max))"
    defer { unlink(path) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0)
    let manager = ServiceManager(
      environment: ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "\(getpid())"])
    #expect(manager.watchdogSeconds == 5)
    manager.ready("serving 2 workers")
    manager.isAlive()
    manager.stopping(within: 60)
    var messages: [String] = []
    for _ in 0..<3 {
      var buffer = [UInt8](repeating: 0, count: 500)
      let got = recv(descriptor, &buffer, buffer.count, 0)
      messages.append(String(decoding: buffer[..<max(0, got)], as: UTF8.self))
    }
    #expect(messages[0] == "READY=1\nSTATUS=serving 2 workers" && messages[1] == "WATCHDOG=1")
    #expect(messages[2].hasPrefix("STOPPING=1\n") && messages[2].hasSuffix("EXTEND_TIMEOUT_USEC=60000000"))
    ServiceManager(environment: [:]).ready("nobody")
    #expect(ServiceManager(environment: ["WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"]).watchdogSeconds == nil)
  }
}

/// Counts restarts.
private final class Restarts: DaemonEvents {
  private let number = Mutex(0)
  var count: Int { number.withLock { $0 } }
  func workerRestarted(_ worker: String) { number.withLock { $0 += 1 } }
}
