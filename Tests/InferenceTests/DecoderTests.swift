import CBlas
import TestSupport
import Testing

@testable import Inference

/// Each architecture, scaling of positions and weight type against transformers in fp32.
@Suite("Decoders against transformers")
struct DecoderTests {
  private static func worst(_ a: [Float], _ b: [Float]) -> Float {
    a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 1 : .infinity
  }

  @Test("logits within 5e-5 of the reference, those of a whole prompt at once", arguments: DecoderGolden.all)
  func logits(_ golden: DecoderGolden) throws {
    let run = DecoderRun(try golden.model())
    for item in try golden.items() {
      let logits = run.logits(item.ids[...], at: 0, pages: run.pages(item.ids.count))
      let worst = Self.worst(item.logits, logits)
      #expect(worst < 5e-5, "\(golden.name), \(item.ids.count) tokens: \(worst)")
    }
  }

  @Test(
    "64 greedy tokens as the reference's, all items at once, wherever its choice is clear", arguments: DecoderGolden.all
  )
  func greedy(_ golden: DecoderGolden) throws {
    let items = try golden.items()
    let generator = BatchGenerator(
      try golden.model(), bytes: DecoderRun.bytes, limits: .init(cacheBytes: 1 << 24), threads: 1)
    let requests = items.map { item in
      var request = GenerationRequest(
        prompt: item.ids, item: "", sampling: SamplingSettings(temperature: 0, maximumTokens: 64))
      request.ignoresEnd = !item.greedy.contains(2)
      return request
    }
    for (item, result) in zip(items, generator.run(requests)) {
      let generation = try result.get()
      // Behind an unclear choice both may go on differently.
      let end = item.greedy.firstIndex(of: 2) ?? item.greedy.count
      let clear = item.margins.prefix(end).firstIndex { $0 < 1e-4 } ?? end
      #expect(generation.tokens.prefix(clear) == item.greedy.prefix(clear))
      #expect(clear > 0 && generation.promptTokens == item.ids.count)
    }
  }

  @Test(
    "the same bits in any pieces, in any company, on 3 threads and on every instruction set",
    arguments: DecoderGolden.all, [Precision.fp32, .bf16])
  func invariance(_ golden: DecoderGolden, precision: Precision) throws {
    let model = try golden.model(precision)
    let items = try golden.items().map(\.ids)
    let run = DecoderRun(model)
    let whole = items.map { run.logits($0[...], at: 0, pages: run.pages($0.count)) }
    var random = SeededGenerator(seed: 5)
    let other = DecoderRun(model, threads: 3)
    for _ in 0..<3 {
      // Every sequence in pieces of its own, with others beside it.
      var (stored, pages) = (items.map { _ in 0 }, items.map { other.pages($0.count) })
      while let place = items.indices.filter({ stored[$0] < items[$0].count }).randomElement(using: &random) {
        var parts: [DecoderStep.Part] = []
        var ended: [Int] = []
        for index in Set([place, Int.random(in: items.indices, using: &random)])
        where stored[index] < items[index].count {
          let count = min(items[index].count - stored[index], Int.random(in: 1...40, using: &random))
          parts.append(
            .init(
              tokens: items[index][stored[index]..<stored[index] + count], position: stored[index], pages: pages[index],
              wantsLogits: stored[index] + count == items[index].count))
          stored[index] += count
          if stored[index] == items[index].count { ended.append(index) }
        }
        model.compute(DecoderStep(parts: parts), using: other.activations)
        for (row, index) in ended.enumerated() { #expect(other.row(row) == whole[index]) }
      }
      for page in pages.joined() { page.map(other.pool.give) }
      pages = []
    }
    EachKernel.run { kernel in
      let again = items.map { run.logits($0[...], at: 0, pages: run.pages($0.count)) }
      #expect(again == whole, "\(precision) \(kernel)")
    }
  }

  @Test("bf16 stays near fp32", arguments: DecoderGolden.all)
  func bf16(_ golden: DecoderGolden) throws {
    let run = DecoderRun(try golden.model(.bf16))
    for item in try golden.items() {
      let logits = run.logits(item.ids[...], at: 0, pages: run.pages(item.ids.count))
      #expect(Golden.cosine(item.logits, logits) > 0.999, "\(golden.name), \(item.ids.count) tokens")
    }
  }
}
