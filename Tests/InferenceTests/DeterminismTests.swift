import CBlas
import TestSupport
import Testing

@testable import Inference

/// A receipt can be checked by computing again only if a result depends on nothing but its input.
@Suite("Results are independent of their company", .serialized)
struct DeterminismTests {
  private static func bits(_ embeddings: [[Float]]) -> [[UInt32]] { embeddings.map { $0.map(\.bitPattern) } }

  /// Computes each input alone, then many times among others, by 1 to 3 threads.
  private static func check(_ models: [EmbeddingModel], _ inputs: [TokenizedInput], rounds: Int) throws {
    let alone = try inputs.map { bits(try models[0].embed([$0]))[0] }
    var random = SeededGenerator(seed: 7)
    for round in 0..<rounds {
      let order = inputs.indices.shuffled(using: &random)
      let model = models[round % models.count]
      var place = 0
      while place < order.count {
        let batch = order[place...].prefix(Int.random(in: 1...40, using: &random))
        #expect(bits(try model.embed(batch.map { inputs[$0] })) == batch.map { alone[$0] })
        place += batch.count
      }
    }
  }

  @Test("bit-identical in any batch, order and number of threads: a tiny model", arguments: Precision.allCases)
  func tiny(precision: Precision) throws {
    let models = try [1, 2, 3].map { try TinyModel().load(threads: $0, precision: precision) }
    var random = SeededGenerator(seed: 1)
    let inputs = (0..<200).map { _ in
      let ids = (0..<Int.random(in: 1...24, using: &random)).map { _ in Int32.random(in: 0..<16, using: &random) }
      return TokenizedInput(ids: ids, truncated: false)
    }
    try Self.check(models, inputs, rounds: 30)
  }

  @Test(
    "bit-identical in any batch, order and number of threads: the real model",
    .enabled(if: Golden.hasModel, Golden.skip), arguments: Precision.allCases)
  func real(precision: Precision) throws {
    let model = try Golden.model(precision)
    let one = try EmbeddingModel.load(
      files: Golden.files(), weights: Golden.weights(), precision: precision, threads: 1)
    let inputs = stride(from: 0, to: 2000, by: 50).map { Golden.inputs[$0] }
    try Self.check([one, model], inputs, rounds: 6)
  }

  @Test("AVX-512, AVX2 and portable kernels give the same bits", arguments: Precision.allCases)
  func instructionSets(precision: Precision) throws {
    defer { EachKernel.chooseBest() }
    let model = try TinyModel().load(threads: 1, precision: precision)
    let inputs = (1...24).map { length in
      TokenizedInput(ids: (0..<length).map { Int32($0 * 7 % 16) }, truncated: false)
    }
    #expect(cb_select_kernel("portable"))
    let reference = Self.bits(try model.embed(inputs))
    for name in Kernels.names where cb_select_kernel(name) {
      #expect(Self.bits(try model.embed(inputs)) == reference, "\(name)")
    }
    if Golden.hasModel {
      let real = try Golden.model(precision)
      let short = Golden.inputs.filter { $0.ids.count < 12 }.prefix(6)
      let fast = Self.bits(try real.embed(Array(short)))
      #expect(cb_select_kernel("portable"))
      #expect(Self.bits(try real.embed(Array(short))) == fast)
    }
    #expect(!cb_select_kernel("abacus"))
  }

  @Test("after a wipe the model still computes the same")
  func wipe() throws {
    let model = try TinyModel().load(threads: 2)
    let inputs = [model.tokenize("a b c unable."), model.tokenize("")]
    let before = try model.embed(inputs)
    model.wipe()
    #expect(try model.embed(inputs) == before)
  }
}
