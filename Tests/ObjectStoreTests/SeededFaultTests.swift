import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ObjectStore

/// Uploads with parts beside each other and downloads with windows beside each other, through a network that does its
/// worst by the numbers of a seed. Each run ends right or with a named error: never short, never half an object, never
/// two winners, and nothing left behind that could be reached.
///
/// `EPHEMERALML_FAULT_SEEDS=first-last` runs other seeds. (Which request meets which fault depends on how the threads
/// take turns; the faults and their number are the seed's.)
@Suite("S3 store under seeded faults", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
struct SeededFaultTests {
  static let seeds: ClosedRange<UInt64> = {
    let text = ProcessInfo.processInfo.environment["EPHEMERALML_FAULT_SEEDS"] ?? ""
    let ends = text.split(separator: "-").compactMap { UInt64($0) }
    return ends.count == 2 && ends[0] <= ends[1] ? ends[0]...ends[1] : 1...200
  }()

  /// What came of all runs, for the check that the faults are neither harmless nor fatal throughout.
  private struct Tally {
    var written = 0
    var failedUploads = 0
    var read = 0
    var failedReads = 0
    var requests = 0
    var faults = 0
    var leftWithoutParts = 0
    var wrong: [String] = []
  }

  @Test("end right or with the named error", .timeLimit(.minutes(30)))
  func runs() throws {
    let moto = try Moto.smallParts.get()
    let tally = Mutex(Tally())
    let next = Atomic(Self.seeds.lowerBound)
    // A few at a time: what is tested is one store's own concurrency.
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      while case let seed = next.add(1, ordering: .relaxed).oldValue, seed <= Self.seeds.upperBound {
        do { try Run(seed: seed, moto: moto).all(tally) } catch {
          tally.withLock { $0.wrong.append("seed \(seed): \(error)") }
        }
      }
    }
    let got = tally.withLock { $0 }
    print(
      "\(Self.seeds): \(got.requests) requests, \(got.faults) faults; uploads \(got.written) written,",
      "\(got.failedUploads) failed by name; downloads \(got.read) whole, \(got.failedReads) failed by name;",
      "\(got.leftWithoutParts) uploads left without parts")
    #expect(got.wrong == [])
    guard Self.seeds.count >= 100 else { return }
    #expect(got.written > Self.seeds.count / 2 && got.read > Self.seeds.count / 2)
    #expect(got.faults > Self.seeds.count)
  }

  /// One seed's upload and download.
  private final class Run: Sendable {
    private struct State {
      var random: SeededGenerator
      var faults = 0
      var lostBeginnings = 0
      var lostAborts = 0
    }
    private let seed: UInt64
    private let moto: Moto
    private let state: Mutex<State>
    /// Faults in a hundred requests.
    private let rate: Int

    init(seed: UInt64, moto: Moto) {
      self.seed = seed
      self.moto = moto
      var random = SeededGenerator(seed: seed)
      rate = [0, 5, 15, 30, 60].randomElement(using: &random) ?? 0
      state = Mutex(State(random: random))
    }

    func all(_ tally: borrowing Mutex<Tally>) throws {
      let key = try ObjectKey("object")
      let prefix = "seeded/\(UUID().uuidString)"
      let direct = try moto.smallStore(prefix: prefix)
      let bytes = Bytes.random(draw { Int.random(in: 0...60_000, using: &$0) })
      let proxy = try FaultProxy(to: moto.endpoint, keepsAlive: seed.isMultiple(of: 2)) { [self] in fault(for: $0) }
      let store = try moto.smallStore(through: proxy, prefix: prefix, stalledSeconds: 2)

      let outcome = Result { try upload(bytes, to: key, of: store) }
      let there = try direct.head(key) == nil ? nil : direct.read(key).readAll(limit: 100_000, "test")
      var wrong: [String] = []
      switch outcome {
      case .success(.written): if there != bytes { wrong.append("written, but not there") }
      case .success(.alreadyExists): wrong.append("another was first, where there is none")
      case .failure(let error as ObjectStoreError):
        if there != nil, there != bytes { wrong.append("half an object after \(error)") }
      case .failure(let error): wrong.append("no named error: \(error)")
      }
      wrong += try rival(direct, key, there)
      let left = try leftovers(direct)
      wrong += left.wrong

      if there == nil { _ = try direct.write(key, bytes) }
      let got = Result { try store.read(key).readAll(limit: 100_000, "test") }
      switch got {
      case .success(let got): if got != bytes { wrong.append("\(got.count) other bytes of \(bytes.count)") }
      case .failure(is ObjectStoreError): break
      case .failure(let error): wrong.append("no named error: \(error)")
      }
      let faults = state.withLock { $0.faults }
      let words = wrong.map { "seed \(seed): \($0)" }
      tally.withLock { tally in
        if case .success = outcome { tally.written += 1 } else { tally.failedUploads += 1 }
        if case .success = got { tally.read += 1 } else { tally.failedReads += 1 }
        tally.requests += proxy.requests.count
        tally.faults += faults
        tally.leftWithoutParts += left.count
        tally.wrong += words
      }
    }

    private func upload(_ bytes: [UInt8], to key: ObjectKey, of store: S3Store) throws -> PutOutcome {
      let writer = try store.openWriter(key)
      var rest = bytes[...]
      while !rest.isEmpty {
        let piece = rest.prefix(draw { Int.random(in: 1...9000, using: &$0) })
        try writer.write(Array(piece))
        rest = rest.dropFirst(piece.count)
      }
      return try writer.commit(.ifAbsent)
    }

    /// Whoever comes later finds the object, when it is there, and does not replace it.
    private func rival(_ direct: S3Store, _ key: ObjectKey, _ there: [UInt8]?) throws -> [String] {
      guard let there else { return [] }
      let outcome = try direct.put(key, [0], .ifAbsent)
      guard outcome == .alreadyExists, try direct.getSmall(key) == there else { return ["a second winner"] }
      return []
    }

    /// Uploads that are still at the server. There may be one for each beginning whose answer was lost, which nobody can
    /// know of; one with parts only where the aborts themselves were lost.
    private func leftovers(_ direct: S3Store) throws -> (count: Int, wrong: [String]) {
      let (beginnings, aborts) = state.withLock { ($0.lostBeginnings, $0.lostAborts) }
      let left = try direct.removeStaleUploads(olderThanSeconds: -60)
      guard left <= beginnings + (aborts > 0 ? 1 : 0) else {
        return (left, ["\(left) uploads left, \(beginnings) lost beginnings, \(aborts) lost aborts"])
      }
      guard try direct.removeStaleUploads(olderThanSeconds: -60) == 0 else {
        return (left, ["uploads cannot be removed"])
      }
      return (left, [])
    }

    private func draw<Value>(_ body: (inout SeededGenerator) -> Value) -> Value {
      state.withLock { body(&$0.random) }
    }

    private func fault(for line: String) -> FaultProxy.Fault {
      state.withLock { state in
        guard Int.random(in: 0..<100, using: &state.random) < rate else { return .pass }
        let fault = Self.fault(&state.random)
        state.faults += 1
        if case .late = fault { return fault }
        if line.contains("?uploads") || line.contains("uploads=") { state.lostBeginnings += 1 }
        if case .repeatRequest = fault, line.contains("uploads=") { state.lostBeginnings += 1 }
        if line.hasPrefix("DELETE") { state.lostAborts += 1 }
        return fault
      }
    }

    private static func fault(_ random: inout SeededGenerator) -> FaultProxy.Fault {
      let count = Int.random(in: 0...6000, using: &random)
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<12: return .refuse
      case 12..<22: return .answer(status: 503, code: "SlowDown")
      case 22..<30: return .answer(status: 500, code: "InternalError")
      case 30..<45: return .loseAnswer
      case 45..<60: return .cut(after: count, reset: Bool.random(using: &random))
      case 60..<66: return .drip
      case 66..<74: return .duplicate
      case 74..<79: return .hideLengthAndCut(after: count)
      case 79..<84: return .corrupt(at: count)
      case 84..<92: return .repeatRequest
      case 92..<95: return .hangUp
      case 95..<99: return .late(milliseconds: count % 50)
      default: return .stall(after: count)
      }
    }
  }
}
