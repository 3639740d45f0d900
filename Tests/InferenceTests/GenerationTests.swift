import CBlas
import TestSupport
import Testing

@testable import Inference

/// What comes of an item depends on the item alone.
@Suite("Batched generation")
struct GenerationTests {
  private static func generator(
    _ name: String = "llama", precision: Precision = .fp32, pages: Int = 200, sequences: Int = 8, tokens: Int = 64,
    threads: Int = 1
  ) throws -> BatchGenerator {
    let model = try DecoderGolden(name: name).model(precision)
    var limits = BatchGenerator.Limits(cacheBytes: pages * PagePool.pageBytes(model.config, precision: precision))
    (limits.sequences, limits.tokensPerStep) = (sequences, tokens)
    return BatchGenerator(model, bytes: DecoderRun.bytes, limits: limits, threads: threads)
  }

  private static func requests(_ count: Int, seed: UInt64) -> [GenerationRequest] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { index in
      let prompt = (0..<Int.random(in: 1...100, using: &random)).map { _ in Int32.random(in: 3..<100, using: &random) }
      var settings = SamplingSettings(maximumTokens: Int.random(in: 1...40, using: &random))
      settings.temperature = [0, 0.7, 1.3].randomElement(using: &random) ?? 1
      settings.topK = [0, 5, 40].randomElement(using: &random) ?? 0
      settings.topP = [1, 0.9].randomElement(using: &random) ?? 1
      settings.seed = UInt64(index % 3)
      settings.stops = index % 4 == 0 ? ["b", "xyz"] : []
      return GenerationRequest(prompt: prompt, item: "item \(index)", sampling: settings)
    }
  }

  @Test(
    "results are the same in any order, company, memory, piece and number of threads",
    arguments: ["llama", "mistral", "qwen3"])
  func shuffles(name: String) throws {
    for precision in [Precision.fp32, .bf16] {
      let requests = Self.requests(24, seed: 9)
      let alone = try Self.generator(name, precision: precision, sequences: 1)
      let expected = try requests.map { try alone.run([$0])[0].get() }
      #expect(Set(expected.map(\.finish)) == [.stop, .length])
      var random = SeededGenerator(seed: 4)
      for (pages, sequences, tokens, threads) in [(200, 24, 256, 2), (12, 5, 7, 1), (9, 16, 33, 3)] {
        let generator = try Self.generator(
          name, precision: precision, pages: pages, sequences: sequences, tokens: tokens, threads: threads)
        let order = requests.indices.shuffled(using: &random)
        let results = generator.run(order.map { requests[$0] })
        for (index, result) in zip(order, results) { #expect(try result.get() == expected[index]) }
        generator.wipe()
      }
    }
  }

  @Test("prompts that begin alike are computed once as far as they do, and give what each gives alone")
  func sharedPrefix() throws {
    var random = SeededGenerator(seed: 6)
    func tokens(_ count: Int) -> [Int32] { (0..<count).map { _ in Int32.random(in: 3..<100, using: &random) } }
    let system = tokens(100)
    let requests = (0..<20).map { index in
      // Some have the system prompt alone, to the end of a page, or a part of it; some have another beginning.
      let prompt = [system, Array(system.prefix(96)), system + tokens(50), Array(system.prefix(40)) + tokens(70)][
        index % 4]
      return GenerationRequest(
        prompt: prompt, item: "\(index)", sampling: SamplingSettings(temperature: 1, maximumTokens: 12))
    }
    let alone = try requests.map { try Self.generator(sequences: 1).run([$0])[0].get() }
    for (pages, sequences, tokens) in [(200, 20, 256), (14, 6, 50), (6, 3, 9)] {
      let generator = try Self.generator(pages: pages, sequences: sequences, tokens: tokens)
      #expect(try generator.run(requests).map { try $0.get() } == alone)
      let read = requests.reduce(0) { $0 + $1.prompt.count } + alone.reduce(0) { $0 + $1.outputTokens }
      if pages == 200 { #expect(generator.computedTokens < read - 15 * 64) }
      generator.wipe()
      #expect(try generator.run(requests).map { try $0.get() } == alone)
    }
  }

  @Test("the seed and the item's name decide what is drawn")
  func seeds() throws {
    let generator = try Self.generator()
    var request = GenerationRequest(
      prompt: [5, 6, 7], item: "a", sampling: SamplingSettings(temperature: 1.5, maximumTokens: 30))
    let first = try generator.run([request, request]).map { try $0.get() }
    #expect(first[0] == first[1])
    request.sampling.seed = 1
    #expect(try generator.run([request])[0].get() != first[0])
    (request.sampling.seed, request.item) = (0, "b")
    #expect(try generator.run([request])[0].get() != first[0])
  }

  @Test("an output ends at its limit, at the context's end, at a stop and where the model ends it")
  func ends() throws {
    let generator = try Self.generator()
    func run(_ prompt: Int, _ settings: SamplingSettings, ignoresEnd: Bool = true) throws -> Generation {
      var request = GenerationRequest(prompt: Array(repeating: 9, count: prompt), item: "", sampling: settings)
      request.ignoresEnd = ignoresEnd
      return try generator.run([request])[0].get()
    }
    let free = try run(3, SamplingSettings(temperature: 0, maximumTokens: 20))
    #expect(free.finish == .length && free.tokens.count == 20 && free.outputTokens == 20 && free.promptTokens == 3)
    #expect(free.text == free.tokens.map { String(decoding: DecoderRun.bytes[$0], as: UTF8.self) }.joined())
    let full = try run(250, SamplingSettings(temperature: 0, maximumTokens: 20))
    #expect(full.finish == .length && full.tokens.count == 6)
    let stop = String(decoding: DecoderRun.bytes[free.tokens[5]], as: UTF8.self)
    let stopped = try run(3, SamplingSettings(temperature: 0, maximumTokens: 20, stops: [stop]))
    let end = try #require(free.text.firstRange(of: stop)).lowerBound
    #expect(stopped.finish == .stop && stopped.text == String(free.text[..<end]) && stopped.tokens.count <= 6)
    var random = 0
    for seed in 0..<40 {
      let some = try run(
        3, SamplingSettings(temperature: 3, seed: UInt64(seed), maximumTokens: 40), ignoresEnd: false)
      #expect(!some.tokens.contains(2))
      if some.finish == .stop {
        random += 1
        #expect(some.outputTokens == some.tokens.count + 1)
      }
    }
    #expect(random > 0)
  }

  @Test("what cannot be computed is refused by itself, with figures")
  func refusals() throws {
    let generator = try Self.generator(pages: 4)
    let settings = SamplingSettings(temperature: 0, maximumTokens: 10)
    func request(_ prompt: [Int32], _ settings: SamplingSettings) -> GenerationRequest {
      GenerationRequest(prompt: prompt, item: "", sampling: settings)
    }
    let long = [Int32](repeating: 5, count: 256)
    let results = generator.run([
      request([], settings), request([100], settings), request([-1], settings), request(long, settings),
      request([5], SamplingSettings(topP: 0, maximumTokens: 1)), request(Array(long.prefix(120)), settings),
      request(Array(long.prefix(119)), settings),
    ])
    let failures = results.map { result -> GenerationFailure? in
      if case .failure(let failure) = result { failure } else { nil }
    }
    #expect(failures[0...2].allSatisfy { $0 == .badPrompt })
    #expect(failures[3] == .promptTooLong(tokens: 256, limit: 256))
    #expect(failures[4].map { "\($0)".hasPrefix("top_p") } == true)
    #expect(failures[5] == .doesNotFit(tokens: 130, limit: 129) && failures[6] == nil)
  }

  /// Allows multiples of a number, and an end after so many.
  private struct Multiples: TokenConstraint {
    let number: Int32
    let least: Int
    var seen: [Int32] = []

    mutating func allowed(into mask: inout TokenMask) {
      for id in stride(from: 0, to: Int32(mask.count), by: Int(number)) where seen.count < least + 3 { mask.insert(id) }
    }
    mutating func advance(_ token: Int32) { seen.append(token) }
    var mayEnd: Bool { seen.count >= least }
  }

  @Test("a constraint decides which tokens come and when the end may")
  func constraint() throws {
    let generator = try Self.generator()
    for temperature in [0, 2.0] {
      let requests = (0..<8).map { index in
        GenerationRequest(
          prompt: [7, Int32(index) + 3], item: "\(index)",
          sampling: SamplingSettings(temperature: temperature, maximumTokens: 50),
          constraint: Multiples(number: 7, least: 4))
      }
      for result in generator.run(requests) {
        let generation = try result.get()
        #expect(generation.tokens.allSatisfy { $0 % 7 == 0 } && (4...7).contains(generation.tokens.count))
        #expect(generation.finish == .stop)
      }
    }
  }

  @Test("numbers that run over fail their own item, and leave nothing in the pages of the next")
  func notFinite() throws {
    var model = try DecoderGolden(name: "llama").model()
    let width = model.config.hiddenSize
    let rows = FloatBuffer(count: model.weights.embeddings.width * width)
    for id in 0..<100 { model.weights.embeddings.copyRow(id, to: rows.pointer + id * width) }
    for i in 0..<width { rows.pointer[50 * width + i] = .infinity }
    let packed = FloatBuffer(count: rows.count)
    cb_pack(rows.pointer, model.weights.embeddings.width, width, width, packed.pointer)
    model.weights.embeddings = QuantizedLinear(weight: .fp32(packed), bias: nil, outputs: 100, inputs: width)
    var limits = BatchGenerator.Limits(cacheBytes: 3 * PagePool.pageBytes(model.config, precision: .fp32))
    limits.sequences = 2
    let generator = BatchGenerator(model, bytes: DecoderRun.bytes, limits: limits, threads: 1)
    let settings = SamplingSettings(temperature: 0, maximumTokens: 5)
    let good = GenerationRequest(prompt: [5, 6], item: "", sampling: settings)
    let bad = GenerationRequest(prompt: [5, 50, 6], item: "", sampling: settings)
    let results = generator.run([bad, good, bad, good])
    #expect(results[0] == .failure(.notFinite) && results[2] == .failure(.notFinite))
    #expect(try results[1].get() == results[3].get())

    // A page that both begin with is whole before the number that runs over, and is shared.
    limits.sequences = 1
    let page = (0..<PagePool.tokens).map { Int32(5 + $0 % 7) }
    let (first, second) = (
      GenerationRequest(prompt: page + [50, 6], item: "", sampling: settings),
      GenerationRequest(prompt: page + [5, 6], item: "", sampling: settings)
    )
    let alone = try BatchGenerator(model, bytes: DecoderRun.bytes, limits: limits, threads: 1).run([second])[0].get()
    let both = BatchGenerator(model, bytes: DecoderRun.bytes, limits: limits, threads: 1).run([first, second])
    #expect(both[0] == .failure(.notFinite))
    #expect(try both[1].get() == alone)
  }
}
