import Client
import Crypto
import Foundation
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// Whatever a host asks for, it costs the worker a bounded number of threads and bounded memory.
  @Suite("Resources")
  struct Resources {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    @Test("Ten thousand connections cost the worker no more than its places, and afterwards it works")
    func connections() throws {
      var most = 0
      for round in 0..<50 {
        // Held open together, all of them silent; the backlog may be full for a moment.
        let held = (0..<200).compactMap { _ in try? Channel.connect(to: stage.host.endpoint) }
        #expect(held.count > 100, "round \(round)")
        most = max(most, try stage.threads())
        for channel in held { channel.close() }
      }
      // Those of the round before may still be ending.
      #expect(most < 150, "\(most) threads; 64 connections are served at once")
      try stage.proveAlive()
    }

    @Test("A bundle that claims a manifest of 4 GiB or an input of 2⁶³ bytes is refused before anything is allocated")
    func claimedSizes() throws {
      let before = try stage.memoryPeak()
      let key = try stage.sealingKey()
      let claims: [(String, [UInt8])] = [
        ("a manifest of 4 GiB", [0xFF, 0xFF, 0xFF, 0xFF]), ("a manifest over the limit", [0, 8, 0, 1]),
        ("an input of 2⁶³ bytes", [0, 0, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("an input over the limit", [0, 0, 0, 1, 0, 0, 0, 0, 4, 0, 0, 0, 1]), ("nothing", []), ("one byte", [0]),
      ]
      for (what, plaintext) in claims {
        let sink = MemorySink()
        let encryptor = try AgeEncryptor(recipients: [key], to: sink)
        try encryptor.write(plaintext + [UInt8](repeating: 0, count: 100))
        try encryptor.finish()
        let ended = try stage.run(sink.bytes)
        #expect(ended.code == .refused, "\(what)")
        #expect(try ended.claims.bundle == SHA256.digest(of: sink.bytes), "\(what)")
      }
      #expect(try stage.memoryPeak() < before + (64 << 20))
      try stage.proveAlive()
    }

    @Test(
      "Lines of a submitter's that are bombs of JSON cost their own item and little memory",
      arguments: ["[", #"{"a":"#])
    func nestedLines(opening: String) throws {
      let bomb = Array(String(repeating: opening, count: 60_000).utf8) + [0x0A]
      let good = Array(#"{"id":"d0","text":"the bridge"}"#.utf8) + [0x0A]
      let before = try stage.memoryPeak()
      let bundle = try stage.forgedBundle(signedBy: stage.alice.key, input: good + bomb) { $0.inputItems = 2 }
      let ended = try stage.run(bundle)
      #expect(ended.code == .ok)
      #expect(try ended.claims.outcome == .partial)
      #expect(try ended.claims.job?.failedItems == 1)
      #expect(try stage.memoryPeak() < before + (64 << 20))
      try stage.proveAlive()
    }
  }
}

extension Stage {
  /// Threads of the worker, from proc(5).
  func threads() throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(worker.pid)/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("Threads:") }
    return line.flatMap { Int($0.dropFirst(8).trimmingCharacters(in: .whitespaces)) } ?? 0
  }
}
