import Dispatch
import Foundation
import Simulator
import Synchronization

// simulate --seeds N --from M [--trace] [--threads T]: runs N worlds, and says what befell them.

struct Options {
  var seeds: UInt64 = 1_000
  var from: UInt64 = 1
  var threads = ProcessInfo.processInfo.activeProcessorCount
  var hasTrace = false

  init?(_ arguments: [String]) {
    var rest = arguments[...]
    while let word = rest.popFirst() {
      if word == "--trace" {
        hasTrace = true
        continue
      }
      guard let value = rest.popFirst().flatMap(UInt64.init), value > 0 else { return nil }
      switch word {
      case "--seeds": seeds = value
      case "--from": from = value
      case "--threads": threads = Int(clamping: min(value, 64))
      default: return nil
      }
    }
  }
}

/// What all threads have found so far.
struct Findings {
  var coverage = Coverage()
  var failures: [SimulationOutcome] = []
  var done: UInt64 = 0
}

guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
  print("usage: simulate [--seeds N] [--from N] [--threads N] [--trace]")
  exit(64)
}
let report = Report(seeds: options.seeds)
let began = ContinuousClock.now
let next = Atomic<UInt64>(0)
let findings = Mutex(Findings())
let onTrace: ((String) -> Void)? = options.hasTrace ? { print($0) } : nil

if options.hasTrace {
  for seed in options.from..<(options.from + options.seeds) {
    let outcome = Simulation.run(seed: seed, onTrace: onTrace)
    findings.withLock { found in
      found.coverage.merge(outcome.coverage)
      if !outcome.breaches.isEmpty { found.failures.append(outcome) }
    }
  }
} else {
  DispatchQueue.concurrentPerform(iterations: options.threads) { _ in
    while true {
      let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < options.seeds else { return }
      let outcome = Simulation.run(seed: options.from + index)
      findings.withLock { found in
        found.coverage.merge(outcome.coverage)
        found.done += 1
        if !outcome.breaches.isEmpty {
          found.failures.append(outcome)
          if found.failures.count <= 5 { Report.show(outcome) }
        }
        if found.done % 2_000 == 0 {
          print("… \(found.done) seeds, \(found.failures.count) failed")
          fflush(nil)
        }
      }
    }
  }
}

let found = findings.withLock { $0 }
let seconds = (ContinuousClock.now - began) / .seconds(1)
exit(report.end(found.coverage, failures: found.failures, seconds: options.hasTrace ? nil : seconds) ? 0 : 1)
