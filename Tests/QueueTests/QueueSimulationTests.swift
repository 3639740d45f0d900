import Foundation
import Simulator
import Synchronization
import TestSupport
import Testing

// Many small worlds, each made by its seed (Tests/Simulator/World/World.swift says what befalls them). `make simulate` runs
// many more of them.

@Suite("Queue simulation")
struct QueueSimulationTests {
  /// Runs seeds on all processors, until `isEnough` of the outcomes so far.
  private static func run(
    _ seeds: ClosedRange<UInt64>, mutant: Mutant? = nil, until isEnough: @Sendable (SimulationOutcome) -> Bool
  ) -> [SimulationOutcome] {
    let next = Atomic(seeds.lowerBound)
    let outcomes = Mutex<(all: [SimulationOutcome], isEnough: Bool)>(([], false))
    DispatchQueue.concurrentPerform(iterations: ProcessInfo.processInfo.activeProcessorCount) { _ in
      while !outcomes.withLock({ $0.isEnough }) {
        let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard seeds.contains(seed) else { return }
        let outcome = Simulation.run(seed: seed, mutant: mutant)
        let enough = isEnough(outcome)
        outcomes.withLock { found in
          found.all.append(outcome)
          found.isEnough = found.isEnough || enough
        }
      }
    }
    return outcomes.withLock { $0.all }
  }

  @Test("No job is lost, none is committed twice, none without a receipt, and every job ends")
  func promises() {
    let outcomes = Self.run(1...300) { !$0.breaches.isEmpty }
    var coverage = Coverage()
    for outcome in outcomes {
      coverage.merge(outcome.coverage)
      #expect(
        outcome.breaches.isEmpty,
        "again: make simulate FROM=\(outcome.seed) SEEDS=1 TRACE=1\n\(outcome.breaches.joined(separator: "\n"))")
    }
    // That a few hundred worlds went well means something only where they met trouble.
    let kills = coverage.kills
    #expect(kills.count { $0.count > 0 } * 10 > kills.count * 7, "most edges see a kill")
    let troubles = [
      "power cut", "process killed", "older backup restored", "disk: sync error", "disk: full", "fenced: finish",
      "torn call took effect whole", "torn call took no effect", "late commit of a zombie was refused", "clock set",
      "commit adopted", "request arrives late", "ended dead", "ended cancelled", "run by the clock",
    ]
    for trouble in troubles { #expect(coverage.counts[trouble] ?? 0 > 0, "no world met: \(trouble)") }
  }

  @Test("A deliberate mistake in store, driver or disk is found", arguments: Mutant.allCases)
  func mutants(mutant: Mutant) {
    let outcomes = Self.run(1...400, mutant: mutant) { !$0.breaches.isEmpty }
    let found = outcomes.first { !$0.breaches.isEmpty }
    #expect(found != nil, "\(mutant) was not found in \(outcomes.count) worlds")
    if let found {
      print("\(mutant.rawValue): seed \(found.seed), after \(outcomes.count) worlds: \(found.breaches[0])")
    }
  }

  @Test("A seed repeats exactly, whatever runs beside it", arguments: [UInt64(3), 17, 40])
  func repeats(seed: UInt64) {
    let traces = Mutex<[[String]]>([])
    DispatchQueue.concurrentPerform(iterations: 3) { _ in
      var lines: [String] = []
      let outcome = Simulation.run(seed: seed) { lines.append($0) }
      lines += outcome.breaches
      traces.withLock { $0.append(lines) }
    }
    let all = traces.withLock { $0 }
    #expect(all[0].count > 20 && all[0] == all[1] && all[1] == all[2])
  }

  private static let program = Need("simulate", remedy: "`make test` builds it") {
    Checkout.existing(".build/release/simulate")
  }

  @Test(
    "Two processes print the same trace of a seed, byte for byte", .enabled(if: program.isMet, "\(program.comment)"))
  func repeatsInAnotherProcess() throws {
    let outputs = try (0..<2).map { _ in
      let process = Process()
      let pipe = Pipe()
      process.executableURL = try Self.program.require()
      process.arguments = ["--seeds", "2", "--from", "23", "--trace"]
      process.standardOutput = pipe
      try process.run()
      let output = try pipe.fileHandleForReading.readToEnd()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      return output
    }
    #expect(outputs[0]?.count ?? 0 > 2_000 && outputs[0] == outputs[1])
  }
}
