import Testing

@testable import Inference

/// Whole models in every type of weights that GGUF files have, against llama.cpp and transformers.
@Suite("Decoders in every type of GGUF's weights")
struct DecoderTypeTests {
  /// How far a logit may be from fp32's of the exact weights, and from llama.cpp's. Logits vary by about 1. What rounds is
  /// the activations that a product takes: to bytes with a step for each 32 beside integers, to bfloat16 beside BF16.
  /// llama.cpp's own distance from fp32 is up to 0.002 for F16, 0.02 for BF16, and 0.04 to 0.1 for the others.
  private static func tolerance(_ mix: String) -> (exact: Float, peer: Float) {
    switch mix {
    case "F32": (2e-5, 2e-5)
    case "F16": (2e-5, 5e-3)
    case "BF16": (0.03, 0.04)
    default: (0.12, 0.2)
    }
  }

  private static func worst(_ a: [Float], _ b: [Float]) -> Float {
    a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 1 : .infinity
  }

  @Test("there is a model of each family in each type, and in mixes of them")
  func all() {
    let types = GGUFTensorType.allCases.map(\.name) + ["Q4_K_M", "Q5_K_M"]
    let families = ["llama", "mistral", "qwen2", "qwen3"]
    let names = families.flatMap { family in types.map { "\(family) \($0)" } } + ["llama-q4_k_m.gguf"]
    #expect(Set(DrawnDecoder.all.map(\.name)) == Set(names) && DrawnDecoder.all.count == names.count)
  }

  @Test("logits and 64 greedy tokens", arguments: ["llama", "mistral", "qwen2", "qwen3"])
  func models(family: String) throws {
    for drawn in DrawnDecoder.all where drawn.family == family {
      let run = DecoderRun(try drawn.model(.fp32))
      let (exact, peer) = Self.tolerance(drawn.mix)
      for item in drawn.items {
        let logits = run.logits(item.ids[...], at: 0, pages: run.pages(item.ids.count))
        let worst = (Self.worst(item.exact, logits), item.peer.isEmpty ? 0 : Self.worst(item.peer, logits))
        #expect(worst.0 < exact && worst.1 < peer, "\(drawn.name), \(item.ids.count) tokens: \(worst)")
      }
      try Self.goesOn(drawn, unclear: max(0.02, 2 * peer))
    }
  }

  /// Along the reference's own text, token by token, each choice of its that is clear is ours. Attention is in bf16, as in
  /// jobs.
  private static func goesOn(_ drawn: DrawnDecoder, unclear: Float) throws {
    let run = DecoderRun(try drawn.model(.bf16))
    for item in drawn.items {
      let pages = run.pages(item.ids.count + item.greedy.count)
      var logits = run.logits(item.ids[...], at: 0, pages: pages)
      var (clear, wrong) = (0, [Int]())
      for (place, id) in item.greedy.enumerated() {
        if item.margins[place] > unclear {
          clear += 1
          if logits.indices.max(by: { logits[$0] < logits[$1] }) != Int(id) { wrong.append(place) }
        }
        if place < item.greedy.count - 1 {
          logits = run.logits([id], at: item.ids.count + place, pages: pages)
        }
      }
      #expect(wrong.isEmpty && clear >= 8, "\(drawn.name): \(clear) clear choices, other ones at \(wrong)")
    }
  }
}
