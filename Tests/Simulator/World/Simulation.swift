import Queue
import Wire

/// What became of one seed.
package struct SimulationOutcome: Hashable, Sendable {
  package let seed: UInt64
  /// Broken promises, in words; none in a world that went well.
  package let breaches: [String]
  package let coverage: Coverage
}

/// Runs worlds by their numbers.
package enum Simulation {
  /// Runs one world to its end.
  /// - Parameters:
  ///   - mutant: a mistake that is to be found.
  ///   - onTrace: told each thing that happens; the lines are the same in every run of a seed.
  package static func run(
    seed: UInt64, mutant: Mutant? = nil, onTrace: ((String) -> Void)? = nil
  ) -> SimulationOutcome {
    do {
      let world = try World(seed: seed, mutant: mutant, onTrace: onTrace)
      defer { world.end() }
      try world.start()
      for _ in 0..<world.profile.steps where world.ledger.breaches.isEmpty { world.step() }
      if world.ledger.breaches.isEmpty { try world.settle() }
      for breach in world.ledger.breaches { world.trace("BREACH \(breach)") }
      return SimulationOutcome(seed: seed, breaches: world.ledger.breaches, coverage: world.coverage)
    } catch {
      return SimulationOutcome(seed: seed, breaches: ["the simulation broke off: \(error)"], coverage: Coverage())
    }
  }
}
