import Foundation
import TestSupport
import Testing

/// The kept corpora of `make fuzz`, and what it once found, through every decoder: no trap, and every promise kept.
@Suite struct CorpusTests {
  @Test(arguments: FuzzTarget.all)
  func everyKeptInputIsRefusedOrReadWithItsPromisesKept(target: FuzzTarget) throws {
    let inputs = try target.keptInputs()
    for bytes in inputs {
      do throws(Violation) { try target.run(bytes) } catch { Issue.record("\(target.name): \(error)") }
    }
  }

  @Test(arguments: FuzzTarget.all)
  func everyTargetHasASmallCorpus(target: FuzzTarget) throws {
    let corpus = try KeptCorpus(target).corpus
    #expect(!corpus.isEmpty, "scripts/fuzz.sh --keep writes it")
    #expect(corpus.reduce(0) { $0 + $1.count } <= KeptCorpus.limitBytes)
  }

  @Test func everyCorpusHasItsTarget() throws {
    let folder = Checkout.root.appending(path: "Tests/Vectors/fuzz")
    let names = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
    #expect(names == Set(FuzzTarget.all.map { "\($0.name).txt" }))
  }

  /// A harness that let everything pass would look the same from outside.
  @Test func aBrokenPromiseIsAFinding() {
    let target = FuzzTarget("broken", seeds: { [] }) { bytes in try hold(bytes.isEmpty, "nothing is ever sent") }
    #expect(throws: Violation.self) { try target.run([1]) }
    #expect(throws: Never.self) { try target.run([]) }
  }
}

extension FuzzTarget: CustomTestStringConvertible {
  var testDescription: String { name }
}
