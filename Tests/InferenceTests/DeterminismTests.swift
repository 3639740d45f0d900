import CBlas
import TestSupport
import Testing

@testable import Inference

/// A receipt can be checked by computing again only if a result depends on nothing but its input.
@Suite("Results are independent of their company", .serialized)
struct DeterminismTests {
  private static func bits(_ embeddings: [[Float]]) -> [[UInt32]] { embeddings.map { $0.map(\.bitPattern) } }

  /// Computes each input alone, by one thread, and then shuffles: batches of some of them in some order, of every size, by
  /// one model or another.
  private static func check(
    _ models: [EmbeddingModel], _ inputs: [TokenizedInput], shuffles: Int, largest: Int
  ) throws {
    let alone = try inputs.map { bits(try models[0].embed([$0]))[0] }
    var random = SeededGenerator(seed: 7)
    var different = 0
    for shuffle in 0..<shuffles {
      let order = inputs.indices.shuffled(using: &random).prefix(Int.random(in: 1...largest, using: &random))
      let results = bits(try models[shuffle % models.count].embed(order.map { inputs[$0] }))
      different += zip(order, results).count { alone[$0] != $1 } + abs(order.count - results.count)
    }
    #expect(different == 0)
  }

  @Test(
    "bit-identical in thousands of batches, in any order, by any number of threads: a tiny model",
    arguments: Precision.allCases)
  func tiny(precision: Precision) throws {
    let models = try [1, 2, 3, 5].map { try TinyModel().load(threads: $0, precision: precision) }
    var random = SeededGenerator(seed: 1)
    let inputs = (0..<200).map { _ in
      let ids = (0..<Int.random(in: 1...24, using: &random)).map { _ in Int32.random(in: 0..<16, using: &random) }
      return TokenizedInput(ids: ids, truncated: false)
    }
    // Few documents are shared step by step among the threads, many document by document.
    try Self.check(models, inputs, shuffles: 2000, largest: 6)
    try Self.check(models, inputs, shuffles: 100, largest: 100)
  }

  @Test(
    "bit-identical in any batch, order and number of threads: the real model",
    .enabled(if: Golden.hasModel, Golden.skip), arguments: Precision.allCases)
  func real(precision: Precision) throws {
    let model = try Golden.model(precision)
    let others = try [1, 3].map {
      try EmbeddingModel.load(files: Golden.files(), weights: Golden.weights(), precision: precision, threads: $0)
    }
    let inputs = stride(from: 0, to: 2000, by: 50).map { Golden.inputs[$0] }
    try Self.check([others[0], model, others[1]], inputs, shuffles: 24, largest: 1)
    try Self.check([others[0], model, others[1]], inputs, shuffles: 9, largest: 20)
  }

  @Test("AVX-512, AVX-VNNI, AVX2 and portable kernels give the same bits", arguments: Precision.allCases)
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

  @Test("the environment's cap is an instruction set, or nothing, and never a name that there is not")
  func cap() {
    for name in Kernels.names + ["portable", ""] { #expect(throws: Never.self) { try EngineKernel.check(cap: name) } }
    for name in ["abacus", "AVX2", "avx512 ", "avx51"] {
      #expect(
        throws: ModelError("environment", "EPHEMERALML_KERNEL is none of avx512bf16, avx512, avxvnni, avx2, portable")
      ) {
        try EngineKernel.check(cap: name)
      }
    }
    #expect(cb_kernel_under("portable").map { String(cString: $0) } == "portable")
    // A cap takes what is above it away, and no more.
    for name in Kernels.names where cb_select_kernel(name) {
      #expect(cb_kernel_under(name).map { String(cString: $0) } == name)
    }
    EachKernel.chooseBest()
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
