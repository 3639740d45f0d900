import CBlas

/// y = x · Wᵀ + b in one precision, packed for the kernels. Read-only once made, so threads share it.
///
/// A product has two steps, so that several steps of a layer become one pass over memory: rows are put into the numbers
/// that are multiplied (by themselves, or by the normalisation that makes them), and then multiplied.
struct Linear: Sendable {
  private enum Weight: Sendable {
    case fp32(FloatBuffer)
    case bf16(AlignedBuffer<UInt32>)
    case int8(
      packed: AlignedBuffer<Int8>, scales: FloatBuffer, sums: AlignedBuffer<Int32>, channelFactors: FloatBuffer?)
  }

  private let weight: Weight
  private let bias: FloatBuffer
  /// Sees every row before it is multiplied, in fp32; nil but when a model is calibrated.
  private let observer: ChannelStatistics?
  let inputs: Int
  let outputs: Int

  /// Several maps of the same input become one, their outputs side by side. Each weight is (outputs, inputs), each bias
  /// (outputs).
  ///
  /// `inputScales`, one for each input, takes outliers out of the activations before they become bytes: the weights are
  /// multiplied by it, the activations by its inverse. It is for `int8`; the other precisions have no use for it. Each
  /// scale is positive and finite, and so is its inverse.
  init(
    _ parts: [(weight: FloatBuffer, bias: FloatBuffer)], inputs: Int, precision: Precision,
    inputScales: [Float]? = nil, observer: ChannelStatistics? = nil
  ) {
    self.observer = observer
    let each = parts.first?.bias.count ?? 0
    self.inputs = inputs
    outputs = each * parts.count
    bias = FloatBuffer(count: outputs)
    switch precision {
    case .fp32:
      let size = cb_packed_size(each, inputs)
      let packed = FloatBuffer(count: parts.count * size)
      for (i, part) in parts.enumerated() {
        cb_pack(part.weight.pointer, each, inputs, inputs, packed.pointer + i * size)
      }
      weight = .fp32(packed)
    case .bf16:
      let packed = AlignedBuffer<UInt32>(count: outputs * inputs / 2)
      for (i, part) in parts.enumerated() {
        cb_bf16_pack(part.weight.pointer, each, inputs, packed.pointer + i * each * inputs / 2)
      }
      weight = .bf16(packed)
    case .int8:
      let packed = AlignedBuffer<Int8>(count: outputs * inputs)
      let scales = FloatBuffer(count: outputs)
      let sums = AlignedBuffer<Int32>(count: outputs)
      for (i, part) in parts.enumerated() {
        let scaled = inputScales.map { Self.scaled(part.weight, by: $0) } ?? part.weight
        cb_int8_pack(
          scaled.pointer, each, inputs, packed.pointer + i * each * inputs, scales.pointer + i * each,
          sums.pointer + i * each)
      }
      let factors = inputScales.map { scales in
        let factors = FloatBuffer(count: inputs)
        for (k, scale) in scales.enumerated() { factors.pointer[k] = 1 / scale }
        return factors
      }
      weight = .int8(packed: packed, scales: scales, sums: sums, channelFactors: factors)
    }
    for (i, part) in parts.enumerated() {
      (bias.pointer + i * each).update(from: part.bias.pointer, count: each)
    }
  }

  /// A weight (outputs, inputs) with each input's column multiplied by its scale.
  private static func scaled(_ weight: FloatBuffer, by scales: [Float]) -> FloatBuffer {
    let scaled = FloatBuffer(count: weight.count)
    for start in stride(from: 0, to: weight.count, by: scales.count) {
      for (k, scale) in scales.enumerated() { scaled.pointer[start + k] = weight.pointer[start + k] * scale }
    }
    return scaled
  }

  /// Memory for rows in the numbers that are multiplied; one thread's.
  final class Scratch: Sendable {
    fileprivate let halves: AlignedBuffer<UInt16>
    fileprivate let bytes: AlignedBuffer<UInt8>
    fileprivate let steps: AlignedBuffer<cb_row>

    /// - Parameters:
    ///   - rows: at most so many at once.
    ///   - inputs: of the widest map.
    init(rows: Int, inputs: Int, precision: Precision) {
      halves = AlignedBuffer(count: precision == .bf16 ? rows * inputs : 0)
      bytes = AlignedBuffer(count: precision == .int8 ? rows * inputs : 0)
      steps = AlignedBuffer(count: precision == .int8 ? rows : 0)
    }

    func wipe() {
      halves.wipe()
      bytes.wipe()
      steps.wipe()
    }
  }

  /// Rows in the numbers that one map multiplies. They lie where they came from or in the scratch, until it is used next.
  struct Rows {
    fileprivate let pointer: UnsafeRawPointer
    let count: Int
  }

  /// Rows of floats.
  func rows(_ x: UnsafePointer<Float>, count: Int, using scratch: Scratch) -> Rows {
    switch weight {
    case .fp32: return Rows(pointer: x, count: count)
    case .bf16:
      cb_bf16_round(x, count * inputs, scratch.halves.pointer)
      return Rows(pointer: scratch.halves.pointer, count: count)
    case .int8(_, _, _, let factors):
      cb_int8_quantize(x, count, inputs, factors?.pointer, scratch.bytes.pointer, scratch.steps.pointer)
      return Rows(pointer: scratch.bytes.pointer, count: count)
    }
  }

  /// Rows of what passes between the steps of a layer: floats in fp32, bfloat16 else.
  func rows(activations x: UnsafeRawPointer, count: Int, using scratch: Scratch) -> Rows {
    guard case .int8(_, _, _, let factors) = weight else { return Rows(pointer: x, count: count) }
    cb_int8_quantize_bf16(
      x.assumingMemoryBound(to: UInt16.self), count, inputs, factors?.pointer, scratch.bytes.pointer,
      scratch.steps.pointer)
    return Rows(pointer: scratch.bytes.pointer, count: count)
  }

  /// x = norm(x), and the rows of that.
  func rows(
    normalizing x: UnsafeMutablePointer<Float>, count: Int, by norm: cb_norm, using scratch: Scratch
  ) -> Rows {
    var norm = norm
    switch weight {
    case .fp32:
      cb_layernorm(x, count, inputs, norm.gain, norm.bias, norm.epsilon)
      return Rows(pointer: x, count: count)
    case .bf16:
      cb_layernorm_bf16(x, count, inputs, &norm, scratch.halves.pointer)
      return Rows(pointer: scratch.halves.pointer, count: count)
    case .int8(_, _, _, let factors):
      cb_layernorm_int8(
        x, count, inputs, &norm, factors?.pointer, scratch.bytes.pointer, scratch.steps.pointer)
      return Rows(pointer: scratch.bytes.pointer, count: count)
    }
  }

  /// y = epilogue(rows · Wᵀ + b). y: (rows, outputs), of the kind that the epilogue writes.
  func multiply(_ rows: Rows, _ epilogue: cb_epilogue, to y: UnsafeMutableRawPointer, using scratch: Scratch) {
    switch weight {
    case .fp32(let packed):
      observer?.record(rows.pointer.assumingMemoryBound(to: Float.self), count: rows.count)
      cb_linear(
        rows.pointer.assumingMemoryBound(to: Float.self), rows.count, inputs, inputs, packed.pointer, outputs,
        bias.pointer, epilogue, y.assumingMemoryBound(to: Float.self), outputs)
    case .bf16(let packed):
      cb_bf16_linear(
        rows.pointer.assumingMemoryBound(to: UInt16.self), rows.count, inputs, packed.pointer, outputs, bias.pointer,
        epilogue, y, outputs)
    case .int8(let packed, let scales, let sums, _):
      var weight = cb_int8_weight(
        packed: packed.pointer, scales: scales.pointer, sums: sums.pointer, outputs: outputs, inputs: inputs)
      cb_int8_linear(
        rows.pointer.assumingMemoryBound(to: UInt8.self), scratch.steps.pointer, rows.count, &weight, bias.pointer,
        epilogue, y, outputs)
    }
  }

  /// y = epilogue(x · Wᵀ + b). x: (rows, inputs); y: (rows, outputs), both floats.
  func apply(
    _ x: UnsafePointer<Float>, rows: Int, _ epilogue: cb_epilogue, to y: UnsafeMutablePointer<Float>,
    using scratch: Scratch
  ) {
    multiply(self.rows(x, count: rows, using: scratch), epilogue, to: y, using: scratch)
  }
}
