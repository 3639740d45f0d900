import Foundation
import Logging
import Synchronization
import TestSupport
import Testing
import Wire

@testable import JobRunner

/// The daemon's two sockets: operators' and the relay to KMS. Each serves a bounded number at once, each by a thread.
@Suite(.timeLimit(.minutes(15))) struct DaemonSocketTests {
  private static let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func withSocket(_ body: (Endpoint) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "d-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(try Endpoint("unix:\(folder.path)/s"))
  }

  /// The backlog may be full for a moment.
  private func connect(_ endpoint: Endpoint) throws -> Channel {
    for _ in 0..<4_000 {
      if let channel = try? Channel.connect(to: endpoint, stallMilliseconds: 20_000) { return channel }
      usleep(5_000)
    }
    return try Channel.connect(to: endpoint, stallMilliseconds: 20_000)
  }

  @Test("Ten thousand operators are served so many at once, the others told so, and the next is served again")
  func operators() throws {
    let served = Mutex((now: 0, most: 0))
    try withSocket { endpoint in
      // Ten thousand connections may take longer than a silent operator's time.
      let server = try OperatorServer(listenOn: endpoint, log: Self.log, requestMilliseconds: .max) { _ in
        served.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
        defer { served.withLock { $0.now -= 1 } }
        return OperatorReply(message: "done")
      }
      server.start()
      defer { server.stop() }
      // Silent ones take every place; whoever comes then hears that.
      let silent = try (0..<OperatorServer.connections).map { _ in try connect(endpoint) }
      var busy = 0
      for _ in 0..<10_000 {
        let channel = try connect(endpoint)
        let reply = try? OperatorLine.receive(OperatorReply.self, from: channel, limit: OperatorLine.limit)
        if reply?.error?.contains("other commands") == true { busy += 1 }
      }
      #expect(busy == 10_000)
      for channel in silent { channel.close() }
      let answered = (0..<2_000).contains { _ in
        usleep(20_000)
        guard let channel = try? connect(endpoint) else { return false }
        try? OperatorLine.send(OperatorRequest(verb: .ping), to: channel)
        return (try? OperatorLine.receive(OperatorReply.self, from: channel, limit: 4096))?.message == "done"
      }
      #expect(answered)
      #expect(served.withLock { $0.most } <= OperatorServer.connections)
    }
  }

  @Test("An answer that takes its time is preceded by signs of life, which its reader does not see")
  func signsOfLife() throws {
    try withSocket { endpoint in
      let mayAnswer = DispatchSemaphore(value: 0)
      let server = try OperatorServer(listenOn: endpoint, log: Self.log, signMilliseconds: 1) { _ in
        mayAnswer.wait()
        return OperatorReply(message: "done")
      }
      server.start()
      defer { server.stop() }
      let channel = try connect(endpoint)
      try OperatorLine.send(OperatorRequest(verb: .ping), to: channel)
      var signs: [UInt8] = []
      while signs.count < 5 { signs += try channel.read(upTo: 1) }
      #expect(signs.allSatisfy { $0 == UInt8(ascii: " ") })
      mayAnswer.signal()
      #expect(try OperatorLine.receive(OperatorReply.self, from: channel, limit: 1 << 20)?.message == "done")
      // Whoever hangs up meanwhile keeps nobody's place.
      for _ in 0..<OperatorServer.connections {
        let channel = try connect(endpoint)
        try OperatorLine.send(OperatorRequest(verb: .ping), to: channel)
        _ = try channel.read(upTo: 1)
        channel.close()
        mayAnswer.signal()
      }
      let answered = (0..<2_000).contains { _ in
        usleep(5_000)
        guard let channel = try? connect(endpoint) else { return false }
        try? OperatorLine.send(OperatorRequest(verb: .ping), to: channel)
        mayAnswer.signal()
        return (try? OperatorLine.receive(OperatorReply.self, from: channel, limit: 1 << 20))?.message == "done"
      }
      #expect(answered)
    }
  }

  @Test("Ten thousand connections through the relay are so many at once, and afterwards it relays")
  func relay() throws {
    try withSocket { inner in
      try withSocket { outer in
        let kms = try Listener(outer, backlog: 512)
        let reached = Mutex<[Channel]>([])
        Thread.detachNewThread {
          while let channel = try? kms.accept() { reached.withLock { $0.append(channel) } }
        }
        let relay = try KMSRelay(
          listenOn: inner, target: .local(outer), log: Self.log, stallMilliseconds: .max, lifeMilliseconds: .max)
        relay.start()
        defer {
          relay.stop()
          kms.close()
        }
        let held = try (0..<KMSRelay.connections).map { _ in try connect(inner) }
        for _ in 0..<10_000 {
          let channel = try connect(inner)
          // Let go at once: an orderly end, or a reset.
          #expect((try? channel.read(upTo: 1))?.isEmpty ?? true)
        }
        #expect(reached.withLock { $0.count } <= KMSRelay.connections)
        for channel in held { channel.close() }
        let relayed = (0..<2_000).contains { _ in
          usleep(20_000)
          guard let channel = try? connect(inner), (try? channel.write([7])) != nil else { return false }
          usleep(20_000)
          guard let last = reached.withLock({ $0.last }) else { return false }
          return (try? last.within(milliseconds: 50) { try last.read(upTo: 1) }) == [7]
        }
        #expect(relayed)
      }
    }
  }
}
