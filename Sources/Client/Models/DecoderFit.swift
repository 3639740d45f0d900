import Inference

/// Whether a decoder fits an enclave, and how many sequences it then continues at once: computed from shapes alone.
package struct DecoderFit: Sendable {
  /// Sequences of the whole context at once; 0 where not even one fits.
  package let sequences: Int
  /// Tokens of all sequences together whose keys and values are in memory at once.
  package let tokens: Int

  /// What an enclave's kernel, its file system and the worker take of its memory, about.
  package static let systemBytes: UInt64 = 512 << 20

  /// - Parameters:
  ///   - enclaveBytes: memory that the enclave is given.
  ///   - threads: processors that it is given.
  package init(_ footprint: DecoderFootprint, enclaveBytes: UInt64, threads: Int) {
    let room = DecoderRoom(footprint, bytes: Self.usable(enclaveBytes), threads: threads)
    sequences = min(room?.wholeSequences ?? 0, room?.limits.sequences ?? 0)
    tokens = room?.tokens ?? 0
  }

  /// Of an enclave's memory, what models may take: the worker leaves an eighth of what it finds.
  static func usable(_ enclaveBytes: UInt64) -> UInt64 {
    (enclaveBytes - min(enclaveBytes, systemBytes)) / 8 * 7
  }

  /// The smallest enclave that a model fits with one sequence of its whole context.
  package static func leastEnclaveBytes(_ footprint: DecoderFootprint, threads: Int) -> UInt64 {
    DecoderRoom.leastBytes(footprint, threads: threads) / 7 * 8 + systemBytes
  }
}

/// The ways in which a decoder of a shape may be published, from its config.json alone.
package struct DecoderShape: Sendable {
  /// Such as `bf16` or `Q4_K_M`, and what it takes.
  package let ways: [(name: String, footprint: DecoderFootprint)]

  /// - Parameter contextLength: tokens of one sequence, where it is less than the model's own.
  /// - Throws: ``ClientError`` of kind `invalid` for a configuration that is refused.
  package init(folder path: String, contextLength: Int?) throws {
    do throws(ModelError) {
      let config = try ModelFolder(path: path).decoderConfig(contextLength: contextLength)
      let plain = [Precision.fp32, .bf16].map { ($0.rawValue, DecoderFootprint(config, precision: $0)) }
      let mixed = QuantizationMix.allCases.map { mix in
        let footprint = DecoderFootprint(config) {
          mix.type(of: $0, layers: config.layers, tiesHead: config.tiesHead)
        }
        return (mix.rawValue, footprint)
      }
      ways = plain + mixed
    } catch {
      throw ModelExamination.refusal(path, error)
    }
  }
}

/// How llama.cpp's converter makes a model's matrices of several types, for the files that most people publish. What a
/// file really has, its header says.
package enum QuantizationMix: String, Sendable, CaseIterable {
  case q4_0 = "Q4_0"
  case q4_K_M = "Q4_K_M"
  case q5_K_M = "Q5_K_M"
  case q6_K = "Q6_K"
  case q8_0 = "Q8_0"

  /// The type of a matrix by its name in GGUF.
  package func type(of name: String, layers: Int, tiesHead: Bool) -> GGUFTensorType {
    let parts = name.split(separator: ".")
    let isHead = parts[0] == "output" || tiesHead && parts[0] == "token_embd"
    switch self {
    case .q8_0: return .q8_0
    case .q6_K: return .q6_K
    case .q4_0: return isHead ? .q6_K : .q4_0
    case .q4_K_M, .q5_K_M:
      if isHead { return .q6_K }
      let isFine = ["attn_v", "ffn_down"].contains(parts.dropFirst(2).first ?? "")
      if isFine, let layer = parts.dropFirst().first.flatMap({ Int($0) }), Self.hasMoreBits(layer, of: layers) {
        return .q6_K
      }
      return self == .q4_K_M ? .q4_K : .q5_K
    }
  }

  /// The first and the last eighth of the layers, and each third between them.
  private static func hasMoreBits(_ layer: Int, of layers: Int) -> Bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
  }
}
