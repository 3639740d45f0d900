import Inference
import TestSupport

extension FuzzTarget {
  /// A whole GGUF file: what is taken as a model reads a text, and continues it with tokens of its own.
  static let ggufModel = FuzzTarget("gguf-model", longestBytes: 8192, seeds: { GGUFModelSeeds.all }) { bytes in
    let weights = try bytes.withUnsafeBytes {
      try GGUFWeights($0, file: "model.gguf", check: GenerationModel.check)
    }
    let model = try GenerationModel(weights)
    let prompt = model.tokenize("ab <s>\u{e9} ba", addsSpecial: true)
    try hold(prompt.allSatisfy { (0..<model.config.vocabularySize).contains(Int($0)) }, "each id has a row")
    var limits = BatchGenerator.Limits(cacheBytes: 1 << 20)
    (limits.tokensPerStep, limits.sequences) = (8, 2)
    let request = GenerationRequest(
      prompt: Array(prompt.prefix(24)), item: "a", sampling: SamplingSettings(temperature: 0, maximumTokens: 3))
    let results = model.generator(limits, threads: 1).run([request, request])
    for result in results {
      guard case .success(let generation) = result else { continue }
      try hold(generation.tokens.count <= 3, "a text is as long as was asked for")
      try hold(
        generation.tokens.allSatisfy { (0..<model.config.vocabularySize).contains(Int($0)) }, "each token is a row's")
      if case .success(let first) = results[0] {
        try hold(first.tokens == generation.tokens, "the same prompt goes on in the same way")
      }
    }
  }
}

private enum GGUFModelSeeds {
  static let all: [[UInt8]] = [file("llama", "gpt-2"), file("qwen3", "qwen2"), file("qwen2", "llama-bpe")]

  /// One layer, 16 wide, in F16 but for the norms; eight tokens.
  private static func file(_ architecture: String, _ pre: String) -> [UInt8] {
    var file = GGUFFile(architecture: architecture)
    let sizes = [
      ("context_length", 64), ("embedding_length", 16), ("block_count", 1), ("feed_forward_length", 16),
      ("attention.head_count", 1), ("attention.head_count_kv", 1), ("attention.key_length", 16),
      ("attention.value_length", 16), ("rope.dimension_count", 16), ("attention.sliding_window", 5),
    ]
    for (name, value) in sizes { file.add("\(architecture).\(name)", value) }
    file.add("tokenizer.ggml.model", "gpt2")
    file.add("tokenizer.ggml.pre", pre)
    file.add("tokenizer.ggml.tokens", ["<s>", "a", "b", "ab", "\u{120}", "\u{120}b", "\u{c3}", "\u{a9}"])
    file.add("tokenizer.ggml.merges", ["a b", "\u{120} b"])
    file.add("tokenizer.ggml.bos_token_id", 0)
    file.add("tokenizer.ggml.eos_token_id", 0)
    file.add("tokenizer.chat_template", "{{ bos_token }}{{ messages[0].content }}")
    // Numbers from 1/16 to 1, some of them negative.
    func tensor(_ name: String, _ shape: [Int]) {
      var bytes: [UInt8] = []
      for place in 0..<shape.reduce(1, *) {
        let (sign, part) = (place * 7 % 5 & 1, place * 37 % 61)
        let bits = shape.count == 2 ? sign << 15 | 0x2c00 + part << 6 : sign << 31 | 0x3d80_0000 + part << 19
        bytes += (0..<(shape.count == 2 ? 2 : 4)).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
      }
      file.add(tensor: name, shape, type: shape.count == 2 ? 1 : 0, bytes)
    }
    tensor("token_embd.weight", [8, 16])
    tensor("output_norm.weight", [16])
    for name in ["attn_norm", "ffn_norm"] { tensor("blk.0.\(name).weight", [16]) }
    if architecture == "qwen3" { for name in ["q", "k"] { tensor("blk.0.attn_\(name)_norm.weight", [16]) } }
    for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] {
      tensor("blk.0.\(name).weight", [16, 16])
    }
    if architecture == "qwen2" { for name in ["q", "k", "v"] { tensor("blk.0.attn_\(name).bias", [16]) } }
    return file.bytes
  }
}
