import Testing

@testable import Inference

/// Decoders that give embeddings, against sentence-transformers.
@Suite("Embeddings of decoders")
struct DecoderEmbeddingTests {
  private static func model(
    _ golden: EncoderGolden, _ precision: Precision = .fp32, threads: Int = 1, changing files: [String: String] = [:]
  ) throws -> EmbeddingModel {
    var contents: [String: [UInt8]] = [:]
    let clear = try golden.files()
    for name in clear.names { contents[name] = files[name].map { Array($0.utf8) } ?? clear[name] }
    return try EncoderGolden.withFiles(try golden.weights()) {
      try EmbeddingModel(files: ModelFiles(contents), weights: $0, precision: precision, threads: threads)
    }
  }

  @Test("a whole folder, from texts and prompts to the reference's ids and outputs", arguments: EncoderGolden.decoders)
  func folders(_ golden: EncoderGolden) throws {
    let (model, near) = (try Self.model(golden), try Self.model(golden, .bf16))
    let items = try golden.items()
    #expect(items.count >= 6 && model.operation == .embed && !model.isCalibrated)
    let inputs = items.map { model.tokenize($0.text, prompt: $0.prompt) }
    for (item, input) in zip(items, inputs) {
      if let expected = item.input { #expect(input.ids == expected.ids, "`\(item.text.prefix(30))`") }
    }
    for (item, (output, half)) in zip(items, zip(try model.embed(inputs), try near.embed(inputs))) {
      #expect(item.output.count == output.count)
      let worst = zip(item.output, output).map { abs($0 - $1) }.max() ?? 1
      #expect(worst < 1e-5, "\(golden.name), `\(item.text.prefix(30))`: \(worst)")
      #expect(Golden.cosine(item.output, half) > 0.999)
    }
    let folder = ModelFolder(path: golden.folder.path)
    let description = try folder.describe()
    #expect(description.architecture == golden.name && description.elementTypes == model.elementTypes)
    #expect(description.operations == ["embed"] && description.dimensions == 64 && model.dimensions == 64)
    #expect(description.maximumTokens == model.maximumTokens && description.layers == 2)
    #expect(try !DecoderConfig.isDecoder(try golden.files()))
  }

  @Test(
    "the same bits alone, in any company, over several passes, on 3 threads and on every instruction set",
    arguments: EncoderGolden.decoders, [Precision.fp32, .bf16])
  func invariance(_ golden: EncoderGolden, precision: Precision) throws {
    let inputs = try golden.items().compactMap(\.input)
    let many = (0..<20).flatMap { shift in inputs.indices.map { inputs[($0 * 5 + shift) % inputs.count] } }
    let (one, three) = (try Self.model(golden, precision), try Self.model(golden, precision, threads: 3))
    let alone = try inputs.map { try one.embed([$0])[0] }
    let together = try three.embed(many)
    for (input, output) in zip(many, together) { #expect(output == alone[try #require(inputs.firstIndex(of: input))]) }
    one.wipe()
    try EachKernel.run { kernel in
      let outputs = try one.embed(inputs)
      #expect(outputs == alone, "\(precision) \(kernel)")
    }
  }

  @Test("what would give other numbers is refused by its name")
  func refusals() throws {
    let golden = EncoderGolden.decoders[0]
    func reason(_ file: String, _ text: String, _ precision: Precision = .fp32) -> String {
      let error = #expect(throws: ModelError.self) { try Self.model(golden, precision, changing: [file: text]) }
      return error?.description ?? ""
    }
    #expect(reason("", "", .int8).contains("not in int8"))
    #expect(reason("1_Pooling/config.json", #"{"pooling_mode":"mean"}"#).contains("last token"))
    #expect(reason("tokenizer_config.json", #"{"add_eos_token":true,"eos_token":"<s>"}"#).contains("add_eos_token"))
    #expect(reason("modules.json", "[]").contains("modules.json"))
    let ends = #"{"add_eos_token":true,"eos_token":{"content":"</s>"}}"#
    #expect(try Self.model(golden, changing: ["tokenizer_config.json": ends]).maximumTokens == 256)
    // Ids without a row, and no tokens at all.
    let model = try Self.model(golden)
    for ids in [[320], [-1], []] as [[Int32]] {
      #expect(throws: EmbeddingModel.Failure.badInput(index: 1)) {
        try model.embed([model.tokenize("a"), TokenizedInput(ids: ids, truncated: false)])
      }
    }
  }
}
