import Foundation
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// Frames that are oversized, malformed, endless or slow end their own connection and nothing else.
  @Suite("Frames")
  struct Frames {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    private func framed(_ body: [UInt8]) -> [UInt8] { RogueEnclave.length(body.count) + body }

    /// Sends raw bytes, closes this side's wish to say more, and expects that nothing valid comes back.
    private func expectNoAnswer(_ bytes: [UInt8], _ what: String) throws {
      let channel = try stage.host.connect()
      do {
        try channel.write(bytes)
        let answer = try channel.receive()
        #expect(answer == nil, "\(what): \(String(describing: answer))")
      } catch let error as WireError {
        // The worker may have closed while we were still writing: that is an end without an answer too.
        guard case .connectionLost = error else { throw error }
      }
    }

    @Test("Lengths over the limit, or zero, are refused before anything is allocated")
    func lengths() throws {
      let before = try stage.memoryPeak()
      for length in [0, Limits.frameBytes + 1, 1 << 24, 1 << 30, 0x7FFF_FFFF, 0xFFFF_FFFF] {
        let head = (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
        try expectNoAnswer(head + [UInt8](repeating: 0xA0, count: 64), "length \(length)")
      }
      #expect(try stage.memoryPeak() < before + (64 << 20))
      try stage.proveAlive()
    }

    @Test("Bodies that are no deterministic CBOR, or no activity, are refused")
    func bodies() throws {
      let status = Activity.status(nonce: []).encoded().encoded()
      let text: (String) -> [UInt8] = { CBOR.text($0).encoded() }
      let bodies: [(String, [UInt8])] = [
        ("a reserved byte", [0x1C]), ("a break", [0xFF]), ("an endless map", [0xBF, 0x61, 0x61, 0x01, 0xFF]),
        ("an endless string", [0x5F, 0x41, 0x00, 0xFF]), ("a float", [0xFB] + [UInt8](repeating: 0, count: 8)),
        ("trailing bytes", status + [0x00]), ("cut", Array(status.dropLast())),
        ("a string of 4 GiB", [0x5A, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("a string of 2⁶³", [0x5B, 0x80] + [UInt8](repeating: 0, count: 7)),
        ("an array of 2⁶⁴ − 1", [0x9B] + [UInt8](repeating: 0xFF, count: 8)),
        ("a map of 4 billion", [0xBA, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("nested 5,000 deep", [UInt8](repeating: 0x81, count: 5000) + [0x00]),
        ("tags 5,000 deep", [UInt8](repeating: 0xC1, count: 5000) + [0x00]),
        ("a long head", [0xA1, 0x78, 0x01, 0x61, 0x00]), ("a number", [0x00]), ("an empty map", [0xA0]),
        ("a duplicate key", [0xA2] + text("activity") + text("status") + text("activity") + text("status")),
        ("an unknown activity", CBOR.object([("activity", .text("give-key"))]).encoded()),
        (
          "an unknown key", CBOR.object([("activity", .text("status")), ("nonce", .bytes([])), ("x", .null)]).encoded()
        ),
        ("another type", CBOR.object([("activity", .text("status")), ("nonce", .text("abc"))]).encoded()),
        ("a job reply first", JobReply.acknowledged(cancel: false).encoded().encoded()),
        ("invalid UTF-8", [0xA1, 0x62, 0xC3, 0x28, 0x00]),
      ]
      for (what, body) in bodies { try expectNoAnswer(framed(body), what) }
      try stage.proveAlive()
    }

    @Test("A bit flipped at any offset of a valid frame is answered or hung up on, and the worker stays")
    func flippedFrames() throws {
      let frame = framed(Activity.status(nonce: [1, 2, 3]).encoded().encoded())
      for offset in frame.indices {
        let channel = try Channel.connect(to: stage.host.endpoint, stallMilliseconds: 300)
        try channel.write(frame.flipped(at: offset))
        // A length that grew waits for more; our own deadline ends that.
        _ = try? channel.receive()
      }
      try stage.proveAlive()
    }

    @Test("Connections that say nothing, half a frame, or one byte at a time keep nobody else waiting")
    func slow() throws {
      let silent = try (0..<30).map { _ in try stage.host.connect() }
      let half = try (0..<10).map { _ in
        let channel = try stage.host.connect()
        try channel.write([0, 0, 0x10, 0, 0xA1])
        return channel
      }
      let slow = try stage.host.connect()
      let frame = framed(Activity.status(nonce: [9]).encoded().encoded())
      for byte in frame.dropLast() {
        try slow.write([byte])
        usleep(5000)
      }
      #expect(try stage.host.status(nonce: [7]).nonce == [7])
      try stage.proveAlive()
      try slow.write([frame[frame.count - 1]])
      #expect(try slow.receive() != nil, "the slow one is served once it is whole")
      withExtendedLifetime((silent, half)) {}
    }

    @Test("A host that hangs in the middle of a job costs that job; another is sent away or served, never mixed")
    func hangingJob() throws {
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      let channel = try stage.host.connect()
      try channel.send(Activity.runJob(attempt: 1).encoded())
      #expect(try channel.receive() != nil, "the worker asks for the bundle and hears nothing")
      let second = try stage.run(job.bundle)
      #expect(second.code == .retry && second.receipt == nil && second.files.isEmpty)
      #expect(try stage.host.status(nonce: [5]).nonce == [5])
      channel.close()
      try stage.proveAlive()
    }

    @Test("Answers of the wrong kind, too large, or beside the question end the job without a receipt")
    func wrongAnswers() throws {
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      let large = CBOR.object([
        ("reply", .text("data")), ("bytes", .bytes([UInt8](repeating: 0, count: Limits.chunkBytes + 1))),
      ])
      let answers: [(String, CBOR)] = [
        ("an acknowledgement for data", JobReply.acknowledged(cancel: false).encoded()), ("too large a piece", large),
        ("an activity", Activity.runJob(attempt: 2).encoded()), ("null", .null), ("an empty map", .object([])),
        ("data and more", CBOR.object([("reply", .text("data")), ("bytes", .bytes([])), ("more", .bool(true))])),
      ]
      for (what, answer) in answers {
        let channel = try stage.host.connect()
        try channel.send(Activity.runJob(attempt: 1).encoded())
        _ = try channel.receive()
        try channel.send(answer)
        let next = try channel.receive()
        #expect(next == nil, "\(what): \(String(describing: next))")
      }
      // Data where an acknowledgement is due: the first write or progress.
      #expect(throws: HungUp.self) {
        _ = try stage.host.run(job.bundle, objects: stage.object) { request, _ in
          switch request {
          case .write, .progress: .data([1])
          default: nil
          }
        }
      }
      try stage.proveAlive()
    }

    @Test("An endless bundle is taken without memory, until the host hangs up")
    func endlessBundle() throws {
      let before = try stage.memoryPeak()
      let channel = try stage.host.connect()
      try channel.send(Activity.runJob(attempt: 1).encoded())
      let piece = JobReply.data([UInt8](repeating: 0x61, count: Limits.chunkBytes)).encoded()
      for _ in 0..<2000 {
        guard let frame = try channel.receive(), case .pull(.bundle) = try JobRequest(frame) else { break }
        try channel.send(piece)
      }
      channel.close()
      #expect(try stage.memoryPeak() < before + (64 << 20), "125 MiB went through")
      try stage.proveAlive()
    }

    @Test("A bundle that comes byte by byte is the same job")
    func bytewise() throws {
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      var rest = job.bundle[...]
      let ended = try stage.host.run(job.bundle, objects: stage.object) { request, _ in
        guard case .pull(.bundle) = request else { return nil }
        defer { rest = rest.dropFirst() }
        return .data(Array(rest.prefix(1)))
      }
      #expect(ended.code == .ok)
      try stage.commit(ended, as: job.name)
      _ = try stage.alice.examine(job.name, in: stage.store).verified()
    }

    @Test("A cancel of the host's, which nobody signed, ends the attempt without a receipt, and the job can still run")
    func cancel() throws {
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      let ended = try stage.host.run(job.bundle, objects: stage.object) { request, _ in
        if case .progress = request { return .acknowledged(cancel: true) }
        return nil
      }
      #expect(ended.code == .retry && ended.receipt == nil)
      #expect(try stage.host.run(job.bundle, objects: stage.object).code == .ok)
    }
  }
}

extension Stage {
  /// Peak resident memory of the worker in bytes (`VmHWM` of proc(5)).
  func memoryPeak() throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(worker.pid)/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return (line.flatMap { Int($0.split(separator: " ").dropLast().last ?? "") } ?? 0) << 10
  }
}
