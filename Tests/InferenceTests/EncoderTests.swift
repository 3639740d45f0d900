import CBlas
import Testing

@testable import Inference

/// Each architecture, pooling, head and weight type against transformers and sentence-transformers.
@Suite("Encoders against transformers")
struct EncoderTests {
  @Test("every output within 1e-5 of the reference", arguments: EncoderGolden.all)
  func outputs(_ golden: EncoderGolden) throws {
    let items = try golden.items().filter { $0.input != nil }
    #expect(items.count >= 5)
    let outputs = try golden.encoder().compute(items.compactMap(\.input))
    for (item, output) in zip(items, outputs) {
      #expect(item.output.count == output.count)
      let worst = zip(item.output, output).map { abs($0 - $1) }.max() ?? 1
      #expect(worst < 1e-5, "\(golden.name), `\(item.text.prefix(30))`: \(worst)")
    }
  }

  @Test("the same bits alone, in any company, on 3 threads and on every instruction set", arguments: EncoderGolden.all)
  func invariance(_ golden: EncoderGolden) throws {
    let inputs = try golden.items().compactMap(\.input)
    let many = (0..<40).flatMap { shift in inputs.indices.map { inputs[($0 * 7 + shift) % inputs.count] } }
    for precision in Precision.allCases {
      let (one, three) = (
        try golden.encoder(precision: precision), try golden.encoder(precision: precision, threads: 3)
      )
      let alone = try inputs.map { try one.compute([$0])[0] }
      let together = try three.compute(many)
      for (input, output) in zip(many, together) {
        let place = try #require(inputs.firstIndex(of: input))
        #expect(output == alone[place])
      }
      try EachKernel.run { kernel in
        let outputs = try one.compute(inputs)
        #expect(outputs == alone, "\(precision) \(kernel)")
      }
    }
  }

  @Test(
    "a whole folder, from texts, pairs and prompts to the reference's ids and outputs",
    arguments: EncoderGolden.all)
  func folders(_ golden: EncoderGolden) throws {
    let model = try EncoderGolden.withFiles(try golden.weights()) {
      try EmbeddingModel(files: try golden.files(), weights: $0, threads: 1)
    }
    for item in try golden.items() {
      let input = model.tokenize(item.text, pair: item.pair, prompt: item.prompt)
      if let expected = item.input { #expect(input.ids == expected.ids && input.segments == expected.segments) }
      let output = try model.embed([input])[0]
      #expect(zip(output, item.output).allSatisfy { abs($0 - $1) < 1e-5 }, "\(item.text.prefix(30))")
    }
    let description = try ModelFolder(path: golden.folder.path).describe()
    #expect(description.architecture == model.architecture && description.elementTypes == model.elementTypes)
    #expect(description.operations == [model.operation.rawValue] && description.dimensions == model.dimensions)
  }

  @Test("int8 stays near fp32", arguments: EncoderGolden.all.filter { $0.name.hasSuffix("mean") })
  func int8(_ golden: EncoderGolden) throws {
    let inputs = try golden.items().compactMap(\.input)
    let (exact, ours) = (try golden.encoder(), try golden.encoder(precision: .int8))
    for (a, b) in zip(try exact.compute(inputs), try ours.compute(inputs)) { #expect(Golden.cosine(a, b) > 0.99) }
  }

  @Test("distances fall into MPNet's buckets as its reference has them")
  func buckets() {
    // transformers' relative_position_bucket for keys that stand 0, 7, 8, … places behind their query.
    let expected = [
      0: 0, 1: 17, 7: 23, 8: 24, 11: 24, 12: 25, 15: 25, 16: 26, 22: 26, 23: 27, 31: 27, 32: 28, 45: 28, 46: 29,
      63: 29, 64: 30, 90: 30, 91: 31, 127: 31, 128: 31, 100_000: 31,
    ]
    for (distance, bucket) in expected {
      #expect(RelativeBias.bucket(distance: distance) == bucket, "\(distance)")
      #expect(RelativeBias.bucket(distance: -distance) == (distance == 0 ? 0 : bucket - 16), "\(-distance)")
    }
  }
}
