import Foundation
import Testing

@testable import Wire

/// Frames over a socket whose other end may do anything.
struct ChannelTests {
  private func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } }

  @Test func framesArriveWholeAndInOrder() throws {
    let (left, right) = try Channel.pair(stallMilliseconds: 60_000)
    let items: [CBOR] = [.null, .text("水"), .object([("bytes", .bytes([1, 2, 3]))])]
    for item in items { try left.send(item) }
    for item in items { #expect(try right.receive() == item) }
    left.close()
    #expect(try right.receive() == nil)
  }

  @Test func theLargestFramePassesAndALargerOneIsNotSent() throws {
    let (left, right) = try Channel.pair(stallMilliseconds: 60_000)
    let largest = CBOR.bytes([UInt8](repeating: 5, count: Limits.frameBytes - 5))
    let writer = Thread { try? left.send(largest) }
    writer.start()
    #expect(try right.receive() == largest)
    #expect(throws: WireError.tooLarge("frame to send", limit: Limits.frameBytes)) {
      try left.send(.bytes([UInt8](repeating: 5, count: Limits.frameBytes - 4)))
    }
  }

  @Test func anOversizedLengthIsRefusedBeforeItsBytesCome() throws {
    for count in [Limits.frameBytes + 1, Int(Int32.max), Int(UInt32.max), 0] {
      let (left, right) = try Channel.pair(stallMilliseconds: 60_000)
      try left.write(length(count))
      #expect(throws: WireError.tooLarge("frame", limit: Limits.frameBytes)) { try right.receive() }
    }
  }

  @Test func aFrameThatIsCutIsTruncated() throws {
    for bytes in [[0], [0, 0, 0], length(4), length(4) + [0x83, 1, 2]] {
      let (left, right) = try Channel.pair(stallMilliseconds: 60_000)
      try left.write(bytes)
      left.close()
      do {
        _ = try right.receive()
        Issue.record("took \(bytes) for a frame")
      } catch WireError.truncated {}
    }
  }

  @Test func aFrameInAnotherFormThanTheOneIsRefused() throws {
    for body: [UInt8] in [[0x18, 0x01], [0x9F, 0xFF], [0xA2, 0x02, 0x00, 0x01, 0x00], [0xF6, 0xF6], [0xF9, 0, 0]] {
      let (left, right) = try Channel.pair(stallMilliseconds: 60_000)
      try left.write(length(body.count) + body)
      #expect(throws: WireError.self) { try right.receive() }
    }
  }

  @Test func aSilentPeerIsAFaultWithinTheDeadline() throws {
    for sent in [[], [0, 0], length(10) + [1, 2, 3]] {
      let (left, right) = try Channel.pair(stallMilliseconds: 50)
      try left.write(sent)
      do {
        _ = try right.receive()
        Issue.record("received from silence")
      } catch WireError.timedOut {}
      withExtendedLifetime(left) {}
    }
  }

  @Test func aFrameThatDribblesIsAFaultWithinTheDeadline() throws {
    let (left, right) = try Channel.pair(stallMilliseconds: 300)
    let dribbler = Thread {
      try? left.write([0, 0, 0x40, 0])
      // Never silent for the deadline, and whole in nearly an hour.
      while (try? left.write([0])) != nil { Thread.sleep(forTimeInterval: 0.02) }
    }
    dribbler.start()
    do {
      _ = try right.receive()
      Issue.record("waited for a frame that never ends")
    } catch WireError.timedOut {}
    right.close()
  }

  @Test func aFrameThatIsReadByteByByteIsAFaultWithinTheDeadline() throws {
    let (left, right) = try Channel.pair(stallMilliseconds: 300)
    let reader = Thread {
      while let piece = try? right.read(upTo: 1), !piece.isEmpty { Thread.sleep(forTimeInterval: 0.02) }
    }
    reader.start()
    do {
      for _ in 0..<64 { try left.send(.bytes([UInt8](repeating: 0, count: Limits.smallObjectBytes))) }
      Issue.record("sent to a peer that hardly reads")
    } catch WireError.timedOut {}
    left.close()
  }

  @Test func aPeerThatReadsNothingIsAFaultWithinTheDeadline() throws {
    let (left, right) = try Channel.pair(stallMilliseconds: 50)
    do {
      try left.write([UInt8](repeating: 0, count: 64 << 20))
      Issue.record("wrote 64 MiB to nobody")
    } catch WireError.timedOut {}
    withExtendedLifetime(right) {}
  }

  @Test func aPeerThatLeftIsALostConnection() throws {
    let (left, right) = try Channel.pair(stallMilliseconds: 60_000)
    right.close()
    do {
      try left.write([UInt8](repeating: 0, count: 1 << 20))
      Issue.record("wrote to a closed socket")
    } catch WireError.connectionLost {}
  }

  @Test func closingEndsAWaitInAnotherThread() throws {
    let (left, right) = try Channel.pair(stallMilliseconds: 30_000)
    let closer = Thread {
      Thread.sleep(forTimeInterval: 0.05)
      right.close()
    }
    closer.start()
    #expect(try right.receive() == nil)
    withExtendedLifetime(left) {}
  }

  @Test func aListenerNamesTheProcessThatConnects() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "c-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let endpoint = try Endpoint("unix:\(folder.path)/s")
    let listener = try Listener(endpoint)
    let client = try Channel.connect(to: endpoint)
    let server = try #require(try listener.accept())
    #expect(try server.peerProcess().pid == getpid())
    try client.send(.text("hello"))
    #expect(try server.receive() == .text("hello"))
    let mode = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/s")[.posixPermissions] as? Int
    #expect(mode == 0o600)
    listener.close()
    #expect(throws: WireError.self) { try Channel.connect(to: endpoint, timeoutMilliseconds: 500) }
  }

  @Test func nobodyThereIsALostConnection() throws {
    #expect(throws: WireError.self) { try Channel.connect(to: .unix("/nonexistent/socket"), timeoutMilliseconds: 500) }
  }
}
