import Foundation
import Logging
import Testing
import Wire

@testable import JobRunner

/// A peer on a Unix socket that does what a test tells it to, on a thread of its own.
final class Peer: Sendable {
  let path: String
  private let listener: Listener

  /// - Parameter serve: gets each connection; the channel lives until it returns.
  init(_ serve: @escaping @Sendable (Channel) throws -> Void) throws {
    path = FileManager.default.temporaryDirectory.appending(path: "peer-\(UInt32.random(in: 0 ... .max))").path
    listener = try Listener(.unix(path))
    Thread.detachNewThread { [listener] in
      while let channel = try? listener.accept(stallMilliseconds: 20_000) {
        Thread.detachNewThread { try? serve(channel) }
      }
    }
  }

  deinit { listener.close() }

  /// Takes a connection and never says anything.
  static func silent() throws -> Peer { try Peer { channel in while try !channel.read(upTo: 1 << 16).isEmpty {} } }
}

/// A port of this machine that answers no connection: its queue of those that nobody accepts is full.
final class SilentPort: Sendable {
  let port: UInt16
  private let descriptors: [Int32]

  init() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 0) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    try #require(isBound)
    port = UInt16(bigEndian: address.sin_port)
    // More than it takes; those that find no place try for ever.
    descriptors =
      [listener]
      + (0..<8).map { _ in
        let client = socket(
          AF_INET,
          Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        _ = withUnsafePointer(to: &address) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, length) }
        }
        return client
      }
  }

  deinit { for descriptor in descriptors { close(descriptor) } }
}

/// The way to a worker in an emulator: a line each way, then the worker's bytes.
struct WorkerAddressTests {
  /// A device that answers a CONNECT line with `answer` and then serves the channel.
  private func device(
    _ answer: String, then serve: @escaping @Sendable (Channel) throws -> Void = { _ in }
  ) throws -> Peer {
    try Peer { channel in
      var line: [UInt8] = []
      while line.last != UInt8(ascii: "\n") { line += try channel.readExactly(1, "CONNECT") }
      guard line == Array("CONNECT 5000\n".utf8) else { return }
      try channel.write(Array(answer.utf8))
      try serve(channel)
    }
  }

  private func connect(_ peer: Peer, timeoutMilliseconds: Int32 = 10_000) throws -> Channel {
    try WorkerAddress("vsock-mux:\(peer.path):5000").connect(
      stallMilliseconds: 10_000, timeoutMilliseconds: timeoutMilliseconds)
  }

  @Test func theWorkersBytesBeginRightAfterTheLine() throws {
    let peer = try device("OK 1073741824\n") { channel in
      try channel.write([7])
      guard try channel.readExactly(2, "test") == [8, 9] else { return }
      try channel.write([10])
    }
    let channel = try connect(peer)
    #expect(try channel.readExactly(1, "test") == [7])
    try channel.write([8, 9])
    #expect(try channel.readExactly(1, "test") == [10])
  }

  @Test func aDeviceThatNeverAnswersIsAFaultWithinTheDeadline() throws {
    for answer in ["", "OK 10737"] {
      let peer = try device(answer) { channel in while try !channel.read(upTo: 1 << 16).isEmpty {} }
      #expect { try connect(peer, timeoutMilliseconds: 100) } throws: { error in
        if case WireError.timedOut = error { true } else { false }
      }
    }
  }

  @Test func aDeviceThatAnswersByteByByteDoesNotRenewItsDeadline() throws {
    let peer = try device("O") { channel in
      while true {
        usleep(20_000)
        try channel.write([UInt8(ascii: "K")])
      }
    }
    #expect(throws: WireError.self) { try connect(peer, timeoutMilliseconds: 200) }
  }

  @Test func anotherAnswerIsRefused() throws {
    for answer in ["NO 5\n", "\n", String(repeating: "O", count: 100), "OK " + String(repeating: "1", count: 100)] {
      let peer = try device(answer)
      #expect(throws: WireError.self) { try connect(peer) }
    }
  }

  @Test func aGuestInWhichNobodyListensIsALostConnection() throws {
    let peer = try Peer { channel in _ = try channel.readExactly(13, "CONNECT") }
    #expect { try connect(peer) } throws: { error in
      if case WireError.connectionLost = error { true } else { false }
    }
  }

  @Test func addressesAreReadAndShownAlike() throws {
    for text in ["vsock-mux:/run/vm.vsock:5000", "vsock:16:5000", "unix:/run/worker.sock"] {
      #expect("\(try WorkerAddress(text))" == text)
    }
    #expect(try WorkerAddress("vsock-mux:/a:b:1") == .multiplexed(path: "/a:b", port: 1))
    for text in ["vsock-mux:/run/vm.vsock", "vsock-mux:run:1", "vsock-mux:/run:x", "vsock-mux::1", "vsock-mux:/a:-1"] {
      #expect(throws: WireError.self) { try WorkerAddress(text) }
    }
  }
}

/// Whoever is silent on the way between daemon, worker and KMS costs a bounded time and a retry.
struct StallTests {
  private let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

  @Test func aWorkerThatIsSilentIsATimeoutForTheDaemon() throws {
    let peer = try Peer.silent()
    let client = WorkerClient(endpoint: .direct(.unix(peer.path)), stallMilliseconds: 100)
    #expect { try client.perform(.status(nonce: [])) } throws: { error in
      if case WireError.timedOut = error { true } else { false }
    }
  }

  @Test func aWorkerThatStopsReadingIsATimeoutForTheDaemon() throws {
    let peer = try Peer { _ in sleep(20) }
    let channel = try WorkerAddress.direct(.unix(peer.path)).connect(stallMilliseconds: 100)
    #expect { try channel.write([UInt8](repeating: 1, count: 16 << 20)) } throws: { error in
      if case WireError.timedOut = error { true } else { false }
    }
  }

  @Test func theRelayHangsUpOnAKMSThatIsSilent() throws {
    let kms = try Peer.silent()
    let path = FileManager.default.temporaryDirectory.appending(path: "relay-\(UInt32.random(in: 0 ... .max))").path
    let relay = try KMSRelay(
      listenOn: .unix(path), target: .local(.unix(kms.path)), log: log, stallMilliseconds: 100)
    relay.start()
    defer { relay.stop() }
    let worker = try Channel.connect(to: .unix(path), stallMilliseconds: 60_000)
    // The relay may have hung up before it took these: then the end is a reset.
    try? worker.write([1, 2, 3])
    do { #expect(try worker.read(upTo: 1).isEmpty) } catch WireError.connectionLost {}
  }

  @Test(.timeLimit(.minutes(5))) func theRelayEndsAConnectionThatIsNeverSilentWhenItsTimeIsOver() throws {
    let kms = try Peer { channel in
      while case let bytes = try channel.read(upTo: 4096), !bytes.isEmpty { try channel.write(bytes) }
    }
    let path = FileManager.default.temporaryDirectory.appending(path: "relay-\(UInt32.random(in: 0 ... .max))").path
    let relay = try KMSRelay(
      listenOn: .unix(path), target: .local(.unix(kms.path)), log: log, lifeMilliseconds: 500)
    relay.start()
    defer { relay.stop() }
    let worker = try Channel.connect(to: .unix(path), stallMilliseconds: 60_000)
    // Each byte comes back at once, so that nobody's silence ends this.
    do {
      repeat { try worker.write([7]) } while try !worker.read(upTo: 1).isEmpty
    } catch WireError.connectionLost {}
    // The next exchange has a time of its own.
    let next = try Channel.connect(to: .unix(path), stallMilliseconds: 60_000)
    try? next.write([8])
    _ = try? next.read(upTo: 1)
  }

  @Test(.timeLimit(.minutes(5))) func aKMSThatSwallowsConnectionsCostsTheWorkerTheRelaysTimeAndNotMinutes() throws {
    let hole = try SilentPort()
    let path = FileManager.default.temporaryDirectory.appending(path: "relay-\(UInt32.random(in: 0 ... .max))").path
    let relay = try KMSRelay(
      listenOn: .unix(path), target: .tcp(host: "127.0.0.1", port: hole.port), log: log)
    relay.start()
    defer { relay.stop() }
    let worker = try Channel.connect(to: .unix(path), stallMilliseconds: 60_000)
    // The kernel would go on trying for two minutes; the relay's end comes before this side's own deadline.
    do { #expect(try worker.read(upTo: 1).isEmpty) } catch WireError.connectionLost {}
  }

  @Test func whatTheWorkerIsToldOfTheRelayIsTheParentsAddress() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "relay-\(UInt32.random(in: 0 ... .max))").path
    let relay = try KMSRelay(listenOn: .unix(path), target: .local(.unix("/none")), log: log)
    defer { relay.stop() }
    #expect(relay.address == .unix(path))
  }
}
