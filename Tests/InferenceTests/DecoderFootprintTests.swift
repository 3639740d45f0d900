import TestSupport
import Testing

@testable import Inference

/// A buffer of any type, found by reflection.
private protocol SomeBuffer: AnyObject {
  var byteCount: UInt64 { get }
}

extension AlignedBuffer: SomeBuffer {
  fileprivate var byteCount: UInt64 { UInt64(count * MemoryLayout<Element>.stride) }
}

/// What a decoder takes is computed before it is loaded: here it is held to the buffers that there are then.
@Suite("A decoder's memory is what was computed")
struct DecoderFootprintTests {
  /// Bytes of all buffers that can be reached from a value, each counted once.
  private static func buffers(in value: Any) -> UInt64 {
    var seen: [ObjectIdentifier: UInt64] = [:]
    func walk(_ value: Any) {
      if let buffer = value as? any SomeBuffer {
        seen[ObjectIdentifier(buffer)] = buffer.byteCount
        return
      }
      for child in Mirror(reflecting: value).children { walk(child.value) }
    }
    walk(value)
    return seen.values.reduce(0, +)
  }

  @Test("the weights of safetensors files", arguments: DecoderGolden.all, [Precision.fp32, .bf16])
  func weights(_ golden: DecoderGolden, precision: Precision) throws {
    let model = try golden.model(precision)
    #expect(Self.buffers(in: model.weights) == DecoderFootprint(model.config, precision: precision).weightBytes)
  }

  @Test("the weights of GGUF files, in their own numbers", arguments: DecoderGolden.gguf)
  func packed(_ golden: DecoderGolden) throws {
    let header = try golden.weights().header()
    let model = try golden.packedModel(.bf16)
    #expect(Self.buffers(in: model.weights) == DecoderFootprint(model.config, header).weightBytes)
  }

  @Test("the memory of passes", arguments: ["llama", "qwen3", "llama-q8_0"], [1, 3])
  func activations(name: String, threads: Int) throws {
    let golden = DecoderGolden(name: name)
    let model = try golden.packedModel(.bf16)
    let footprint = DecoderFootprint(model.config, try golden.weights().header())
    for (rows, sequences) in [(256, 64), (16, 1), (8, 8)] {
      let made = DecoderActivations(
        config: model.config, weights: model.weights, rows: rows, logitRows: sequences,
        context: model.config.contextLength, threads: threads)
      #expect(
        Self.buffers(in: made) == footprint.activationBytes(rows: rows, sequences: sequences, threads: threads))
    }
  }

  @Test("pages: as many as the budget has room for, and no more")
  func pages() throws {
    let config = try DecoderGolden(name: "llama").model().config
    for precision in [Precision.fp32, .bf16] {
      let footprint = DecoderFootprint(config, precision: precision)
      let pool = PagePool(
        config: config, precision: precision, bytes: Int(footprint.cacheBytes(sequences: 3, tokens: 65)) + 100)
      while pool.take() != nil {}
      #expect(pool.limit == 9 && Self.buffers(in: pool) == footprint.cacheBytes(sequences: 3, tokens: 65))
    }
  }

  @Test("a model fits from its least memory on, and one sequence of the whole context with it")
  func room() throws {
    let config = try DecoderGolden(name: "llama-yarn").model().config
    let footprint = DecoderFootprint(config, precision: .bf16)
    for holdsWeights in [false, true] {
      let least = DecoderRoom.leastBytes(footprint, holdsWeights: holdsWeights, threads: 2)
      #expect(DecoderRoom(footprint, bytes: least - 1, holdsWeights: holdsWeights, threads: 2) == nil)
      #expect(DecoderRoom(footprint, bytes: 0, holdsWeights: holdsWeights, threads: 2) == nil)
      let room = try #require(DecoderRoom(footprint, bytes: least, holdsWeights: holdsWeights, threads: 2))
      #expect(room.wholeSequences == 1 && room.limits.sequences == 1 && room.tokens == config.contextLength)
      #expect(room.limits.cacheBytes >= Int(footprint.cacheBytes(sequences: 1, tokens: config.contextLength)))
      let large = try #require(DecoderRoom(footprint, bytes: 1 << 40, holdsWeights: holdsWeights, threads: 2))
      #expect(large.limits.sequences == 64 && large.limits.tokensPerStep == 256 && large.wholeSequences == 64)
    }
  }

  @Test("a text of the whole context is computed in the least memory, and gives what it gives in any other")
  func leastMemory() throws {
    let model = try GenerationModel(try DecoderGolden(name: "llama-q8_0").weights())
    let least = DecoderRoom.leastBytes(model.footprint, threads: 1)
    let small = try #require(DecoderRoom(model.footprint, bytes: least, threads: 1)).limits
    var request = GenerationRequest(
      prompt: (0..<250).map { 3 + $0 % 90 }, item: "", sampling: SamplingSettings(temperature: 0, maximumTokens: 100))
    request.ignoresEnd = true
    let made = try [small, .init(cacheBytes: 1 << 24)].map { limits in
      try model.generator(limits, threads: 1).run([request])[0].get()
    }
    #expect(made[0].tokens == made[1].tokens && made[0].tokens.count == 6)
  }
}
