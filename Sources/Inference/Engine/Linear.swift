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
    inputScales: [Float]? = nil, observer: ChannelStatistics? = nil, memory: WeightMemory? = nil
  ) {
    self.observer = observer
    let each = parts.first?.bias.count ?? 0
    self.inputs = inputs
    outputs = each * parts.count
    bias = FloatBuffer(count: outputs)
    switch precision {
    case .fp32:
      let size = cb_packed_size(each, inputs)
      let packed = FloatBuffer(count: parts.count * size, in: memory)
      for (i, part) in parts.enumerated() {
        cb_pack(part.weight.pointer, each, inputs, inputs, packed.pointer + i * size)
      }
      weight = .fp32(packed)
    case .bf16:
      let packed = AlignedBuffer<UInt32>(count: outputs * inputs / 2, in: memory)
      for (i, part) in parts.enumerated() {
        cb_bf16_pack(part.weight.pointer, each, inputs, packed.pointer + i * each * inputs / 2)
      }
      weight = .bf16(packed)
    case .int8:
      let packed = AlignedBuffer<Int8>(count: outputs * inputs, in: memory)
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

  /// Memory for rows in the numbers that are multiplied; one pass's at a time.
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

  /// Where the rows to multiply come from.
  enum Source: @unchecked Sendable {
    /// Floats.
    case floats(UnsafePointer<Float>)
    /// What passes between the steps of a layer: floats in fp32, bfloat16 else.
    case activations(UnsafeRawPointer)
    /// Floats, which are replaced by their norm first.
    case normalizing(UnsafeMutablePointer<Float>, cb_norm)
  }

  /// Whether there is a first step: rows of the right numbers are multiplied as they are.
  func hasFirstStep(_ source: Source) -> Bool {
    switch (weight, source) {
    case (.fp32, .floats), (.fp32, .activations), (.bf16, .activations): false
    default: true
    }
  }

  /// The first step, for some of the rows; it is over for all of them before any are multiplied. They stay in the
  /// scratch, or where they are, until that is used next.
  func take(_ source: Source, rows: Range<Int>, using scratch: Scratch) {
    let (first, count) = (rows.lowerBound * inputs, rows.count)
    switch (weight, source) {
    case (.fp32, .normalizing(let x, let norm)):
      cb_layernorm(x + first, count, inputs, norm.gain, norm.bias, norm.epsilon)
    case (.fp32, _), (.bf16, .activations): break
    case (.bf16, .floats(let x)): cb_bf16_round(x + first, count * inputs, scratch.halves.pointer + first)
    case (.bf16, .normalizing(let x, var norm)):
      cb_layernorm_bf16(x + first, count, inputs, &norm, scratch.halves.pointer + first)
    case (.int8(_, _, _, let factors), _):
      let (bytes, steps) = (scratch.bytes.pointer + first, scratch.steps.pointer + rows.lowerBound)
      switch source {
      case .floats(let x): cb_int8_quantize(x + first, count, inputs, factors?.pointer, bytes, steps)
      case .activations(let x):
        cb_int8_quantize_bf16(
          x.assumingMemoryBound(to: UInt16.self) + first, count, inputs, factors?.pointer, bytes, steps)
      case .normalizing(let x, var norm):
        cb_layernorm_int8(x + first, count, inputs, &norm, factors?.pointer, bytes, steps)
      }
    }
  }

  /// The second step, for some of the outputs: y = epilogue(rows · Wᵀ + b). y: (rows, outputs), of the
  /// kind that the epilogue writes. `part` begins and ends at a multiple of the kernels' width.
  func multiply(
    _ source: Source, rows: Int, outputs part: Range<Int>, _ epilogue: cb_epilogue,
    to y: UnsafeMutableRawPointer, using scratch: Scratch
  ) {
    let (first, count, offset) = (part.lowerBound, part.count, bias.pointer + part.lowerBound)
    let y = y + first * (epilogue == CB_BIAS_BF16 || epilogue == CB_GELU_BF16 ? 2 : 4)
    switch weight {
    case .fp32(let packed):
      let x = source.floats
      if first == 0 { observer?.record(x, count: rows) }
      cb_linear(
        x, rows, inputs, inputs, packed.pointer + first * inputs, count, offset, epilogue,
        y.assumingMemoryBound(to: Float.self), outputs)
    case .bf16(let packed):
      let x = source.halves ?? UnsafePointer(scratch.halves.pointer)
      cb_bf16_linear(x, rows, inputs, packed.pointer + first * inputs / 2, count, offset, epilogue, y, outputs)
    case .int8(let packed, let scales, let sums, _):
      var weight = cb_int8_weight(
        packed: packed.pointer + first * inputs, scales: scales.pointer + first, sums: sums.pointer + first,
        outputs: count, inputs: inputs)
      cb_int8_linear(
        scratch.bytes.pointer, scratch.steps.pointer, rows, &weight, offset, epilogue, y,
        outputs)
    }
  }

  /// y = epilogue(x · Wᵀ + b). x: (rows, inputs); y: (rows, outputs), both floats.
  func apply(
    _ x: UnsafePointer<Float>, rows: Int, _ epilogue: cb_epilogue, to y: UnsafeMutablePointer<Float>,
    using scratch: Scratch
  ) {
    take(.floats(x), rows: 0..<rows, using: scratch)
    multiply(.floats(x), rows: rows, outputs: 0..<outputs, epilogue, to: y, using: scratch)
  }
}

extension Linear.Source {
  /// The rows of a product of floats.
  fileprivate var floats: UnsafePointer<Float> {
    switch self {
    case .floats(let x): x
    case .activations(let x): x.assumingMemoryBound(to: Float.self)
    case .normalizing(let x, _): UnsafePointer(x)
    }
  }

  /// The rows, where they are bfloat16 already.
  fileprivate var halves: UnsafePointer<UInt16>? {
    if case .activations(let x) = self { x.assumingMemoryBound(to: UInt16.self) } else { nil }
  }
}
