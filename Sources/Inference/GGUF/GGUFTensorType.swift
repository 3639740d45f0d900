import CBlas

/// Element types of GGUF tensors that can be computed with; the raw value is the file's number (ggml's `ggml_type`).
package enum GGUFTensorType: UInt32, Sendable, CaseIterable {
  case f32 = 0, f16 = 1, bf16 = 30
  case q4_0 = 2, q4_1 = 3, q5_0 = 6, q5_1 = 7, q8_0 = 8
  case q4_K = 12, q5_K = 13, q6_K = 14

  /// As GGUF's tools write it: `Q4_K`.
  package var name: String {
    switch self {
    case .f32: "F32"
    case .f16: "F16"
    case .bf16: "BF16"
    case .q4_0: "Q4_0"
    case .q4_1: "Q4_1"
    case .q5_0: "Q5_0"
    case .q5_1: "Q5_1"
    case .q8_0: "Q8_0"
    case .q4_K: "Q4_K"
    case .q5_K: "Q5_K"
    case .q6_K: "Q6_K"
    }
  }

  /// The format of its blocks; nil for floats.
  var blocks: cb_block_type? {
    switch self {
    case .f32, .f16, .bf16: nil
    case .q4_0: CB_Q4_0
    case .q4_1: CB_Q4_1
    case .q5_0: CB_Q5_0
    case .q5_1: CB_Q5_1
    case .q8_0: CB_Q8_0
    case .q4_K: CB_Q4_K
    case .q5_K: CB_Q5_K
    case .q6_K: CB_Q6_K
    }
  }

  /// Elements of a block: a row is a multiple of it.
  package var blockLength: Int { blocks.map { cb_block_length($0) } ?? 1 }

  /// Bytes of a block.
  package var blockBytes: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    default: blocks.map { cb_block_bytes($0) } ?? 0
    }
  }

  /// Bytes of `count` elements; nil when they are no whole blocks, or too many.
  package func byteCount(elements count: Int) -> Int? {
    guard count >= 0, count % blockLength == 0 else { return nil }
    let (bytes, overflow) = (count / blockLength).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }

  /// Elements from whole blocks of a file, as 32-bit floats; exact. `count` is a multiple of the block's length, and
  /// `source` holds at least as many.
  func dequantize(_ source: UnsafeRawPointer, count: Int, to floats: UnsafeMutablePointer<Float>) {
    switch self {
    case .f32: UnsafeMutableRawPointer(floats).copyMemory(from: source, byteCount: 4 * count)
    case .f16:
      for i in 0..<count {
        floats[i] = Weights.float(half: source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self))
      }
    case .bf16:
      for i in 0..<count {
        let half = source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)
        floats[i] = Float(bitPattern: UInt32(half) << 16)
      }
    default:
      guard let blocks else { return }
      cb_block_dequantize(
        blocks, source.assumingMemoryBound(to: UInt8.self), count / blockLength, floats)
    }
  }
}
