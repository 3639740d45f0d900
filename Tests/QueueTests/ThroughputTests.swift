import Foundation
import Testing
import Wire

@testable import Queue

@Suite("Queue throughput")
struct ThroughputTests {
  @Test("A claim costs about the same with ten thousand jobs waiting as with ten")
  func flatCost() throws {
    let few = try secondsPerClaim(waiting: 10)
    let many = try secondsPerClaim(waiting: 10_000)
    print("claim: \(few.formatted()) s with 10 waiting, \(many.formatted()) s with 10,000")
    #expect(many < few * 10 + 0.02)
  }

  private func secondsPerClaim(waiting: UInt64) throws -> Double {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    _ = try fixture.store.enqueue((0..<waiting).map { try .sample($0, priority: Int64($0 % 5)) }, at: .start)
    // The median, since a busy machine now and then takes the processor away in the middle of a claim.
    let seconds = try (0..<9).map { _ in
      let elapsed = try ContinuousClock().measure { _ = try #require(try fixture.store.claim(.test, at: .start)) }
      return Double(elapsed.components.attoseconds) * 1e-18 + Double(elapsed.components.seconds)
    }
    return seconds.sorted()[4]
  }

  @Test("Single commits to a disk: the figures")
  func singleCommits() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "throughput-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let store = try SQLiteQueue(path: folder.appending(path: "queue.db").path)
    defer { try? store.close() }
    let jobs: UInt64 = 100
    let enqueue = try ContinuousClock().measure {
      for number in 0..<jobs { _ = try store.enqueue([.sample(number)], at: .start) }
    }
    let batch = try ContinuousClock().measure {
      _ = try store.enqueue((jobs..<(jobs + 1_000)).map { try .sample($0) }, at: .start)
    }
    var leases: [Lease] = []
    let claim = try ContinuousClock().measure {
      for _ in 0..<jobs { leases.append(try #require(try store.claim(.test, at: .start))) }
    }
    let finish = try ContinuousClock().measure {
      for lease in leases { try store.finish(lease, with: .sample(1), at: .start) }
    }
    print("\(jobs) single commits each: enqueue \(enqueue), claim \(claim), finish \(finish); 1,000 in one: \(batch)")
    #expect(try store.stats().first?.counts[.finished] == Int64(jobs))
  }
}
