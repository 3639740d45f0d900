import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// The small decoders as GGUF files (scripts/golden/decoder_gguf.py), which llama.cpp computes to the same logits.
@Suite("Decoders from GGUF files")
struct DecoderGGUFTests {
  @Test("logits as transformers' of the same weights", arguments: DecoderGolden.gguf)
  func logits(_ golden: DecoderGolden) throws {
    let run = DecoderRun(try golden.packedModel())
    // Of F32 and F16 products are floats'; of BF16 and blocks their rows are rounded, too.
    let isExact = Set(run.model.weights.elementTypes).isSubset(of: ["F16", "F32"])
    for item in try golden.items() {
      let logits = run.logits(item.ids[...], at: 0, pages: run.pages(item.ids.count))
      if isExact {
        let worst = zip(item.logits, logits).map { abs($0 - $1) }.max() ?? 1
        #expect(worst < 5e-5, "\(golden.name), \(item.ids.count) tokens: \(worst)")
      }
      #expect(Golden.cosine(item.logits, logits) > 0.9995, "\(golden.name), \(item.ids.count) tokens")
    }
  }

  @Test(
    "the same bits in pieces, in company, on 3 threads and on every instruction set",
    arguments: ["llama3", "llama-q8_0"])
  func invariance(name: String) throws {
    let golden = DecoderGolden(name: name)
    let items = try golden.items().map(\.ids)
    let run = DecoderRun(try golden.packedModel(.bf16))
    let whole = items.map { run.logits($0[...], at: 0, pages: run.pages($0.count)) }
    let other = DecoderRun(try golden.packedModel(.bf16), threads: 3)
    let pages = items.map { other.pages($0.count) }
    for start in stride(from: 0, to: 90, by: 30) {
      let parts = items.indices.filter { items[$0].count > start }.map { index in
        let tokens = items[index][start..<min(start + 30, items[index].count)]
        return DecoderStep.Part(tokens: tokens, position: start, pages: pages[index], wantsLogits: true)
      }
      other.model.compute(DecoderStep(parts: parts), using: other.activations)
      for (row, index) in items.indices.filter({ items[$0].count > start }).enumerated()
      where items[index].count <= start + 30 { #expect(other.row(row) == whole[index]) }
    }
    EachKernel.run { kernel in
      #expect(items.map { run.logits($0[...], at: 0, pages: run.pages($0.count)) } == whole, "\(kernel)")
    }
  }

  @Test("2,000 texts by the tokenizers that GGUF files carry, and back again", arguments: ["llama2", "llama3"])
  func tokenizers(name: String) throws {
    let bytes = try TokenTexts.file("\(name).gguf")
    let header = try bytes.withUnsafeBytes { try GGUFHeader(parsing: $0, fileSize: bytes.count, file: "m.gguf") }
    let tokenizer = try Tokenizer(header, maximumTokens: 1 << 20)
    let digests = TokenTexts.digests(in: "gguf-digests.txt")
    let inputs = GGUFTokenizerTests.texts(name).map { tokenizer.tokenize($0) }
    let (ours, theirs) = (TokenTexts.digests(of: inputs), try #require(digests["\(name)-gguf"]))
    #expect(ours.count == theirs.count && theirs.indices.filter { ours[$0] != theirs[$0] } == [])
    let decoder = try #require(tokenizer.decoder)
    let texts = TokenTexts.digests(ofTexts: inputs.map { decoder.text(of: $0.ids) })
    let others = try #require(digests["\(name)-gguf-decoded"])
    #expect(others.indices.filter { texts[$0] != others[$0] } == [])
  }

  @Test("a whole model from one GGUF file continues a text")
  func whole() throws {
    let model = try GenerationModel(try DecoderGolden(name: "llama-q8_0").weights())
    #expect(model.architecture == "llama" && model.elementTypes == ["F32", "Q8_0"] && model.contextLength == 256)
    #expect(model.config.endTokens == [2] && model.config.rotary.isInterleaved)
    let request = GenerationRequest(
      prompt: [5, 6, 7], item: "", sampling: SamplingSettings(temperature: 0, maximumTokens: 8))
    let generation = try model.generator(.init(cacheBytes: 1 << 22), threads: 1).run([request])[0].get()
    #expect(generation.tokens.count == 8 || generation.finish == .stop)
    #expect(
      generation.text == generation.tokens.map { String(decoding: model.decoder.bytes[$0], as: UTF8.self) }.joined())
  }

  /// What is said of the Q8_0 file with other bytes in the place of those behind some others.
  private static func refusal(_ key: String, skipping: Int, _ new: [UInt8]) throws -> String {
    let file = DecoderGolden(name: "llama-q8_0").folder.appending(path: "model.gguf")
    var bytes = Array(try Data(contentsOf: file))
    let place = try #require(bytes.firstRange(of: Array(key.utf8))?.upperBound) + skipping
    bytes.replaceSubrange(place..<place + new.count, with: new)
    do {
      let header = try bytes.withUnsafeBytes { try GGUFHeader(parsing: $0, fileSize: bytes.count, file: "m.gguf") }
      try GenerationModel.check(header)
      _ = try Tokenizer(header, maximumTokens: 256)
      return "accepted"
    } catch let error as ModelError {
      return error.description
    }
  }

  @Test("metadata that is missing, out of bounds or not computed is refused by its key")
  func refusals() throws {
    func number(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    // Behind a key stand its type, and then its value.
    for (key, value) in [
      ("llama.block_count", 0), ("llama.block_count", 3), ("llama.embedding_length", 0x4000_0000),
      ("llama.embedding_length", 60), ("llama.attention.head_count", 0), ("llama.attention.head_count", 3),
      ("llama.attention.value_length", 32), ("llama.rope.freq_base", 0x7f80_0000), ("llama.rope.freq_base", 0),
      ("llama.rope.dimension_count", 8), ("llama.context_length", 1 << 30), ("llama.feed_forward_length", 100),
      ("tokenizer.ggml.eos_token_id", 100),
    ] as [(String, UInt32)] {
      let reason = try Self.refusal(key, skipping: 4, number(value))
      #expect(reason.contains(key) || reason.contains("blk.2") || reason.contains("token_embd"), "\(key): \(reason)")
    }
    // Another letter in its name, and the key is not there.
    for key in ["llama.block_count", "llama.embedding_length", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"] {
      let reason = try Self.refusal(String(key.dropLast()), skipping: 0, [UInt8(ascii: "X")])
      #expect(reason.contains(key), "\(key): \(reason)")
    }
    for (key, text) in [
      ("general.architecture", "mamba"), ("tokenizer.ggml.model", "gptX"), ("tokenizer.ggml.pre", "gpt-9"),
    ] {
      let reason = try Self.refusal(key, skipping: 12, Array(text.utf8))
      #expect(reason.contains(key) && reason.contains(text), "\(key): \(reason)")
    }
    #expect(try Self.refusal("llama.vocab_size", skipping: 4, number(100)) == "accepted")
  }
}
