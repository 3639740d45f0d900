import CBlas

/// y = x · Wᵀ + b in one precision, packed for the kernels. Read-only once made, so threads share it.
struct Linear: Sendable {
  private enum Weight: Sendable {
    case fp32(FloatBuffer)
    case int8(
      packed: AlignedBuffer<Int8>, scales: FloatBuffer, sums: AlignedBuffer<Int32>, channelFactors: FloatBuffer?)
  }

  private let weight: Weight
  private let bias: FloatBuffer
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
    inputScales: [Float]? = nil
  ) {
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

  /// Memory for the bytes of quantised rows; one thread's.
  final class Scratch: Sendable {
    fileprivate let bytes: AlignedBuffer<UInt8>
    fileprivate let rows: AlignedBuffer<cb_row>

    /// - Parameters:
    ///   - rows: at most so many at once.
    ///   - inputs: of the widest map.
    init(rows: Int, inputs: Int, precision: Precision) {
      bytes = AlignedBuffer(count: precision == .int8 ? rows * inputs : 0)
      self.rows = AlignedBuffer(count: precision == .int8 ? rows : 0)
    }

    func wipe() {
      bytes.wipe()
      rows.wipe()
    }
  }

  /// y = epilogue(x · Wᵀ + b). x: (rows, inputs); y: (rows, outputs).
  func apply(
    _ x: UnsafePointer<Float>, rows: Int, _ epilogue: cb_epilogue, to y: UnsafeMutablePointer<Float>,
    using scratch: Scratch
  ) {
    switch weight {
    case .fp32(let packed):
      cb_linear(x, rows, inputs, inputs, packed.pointer, outputs, bias.pointer, epilogue, y, outputs)
    case .int8(let packed, let scales, let sums, let factors):
      var weight = cb_int8_weight(
        packed: packed.pointer, scales: scales.pointer, sums: sums.pointer, outputs: outputs, inputs: inputs)
      cb_int8_quantize(x, rows, inputs, factors?.pointer, scratch.bytes.pointer, scratch.rows.pointer)
      cb_int8_linear(
        scratch.bytes.pointer, scratch.rows.pointer, rows, &weight, bias.pointer, epilogue, y, outputs)
    }
  }
}
