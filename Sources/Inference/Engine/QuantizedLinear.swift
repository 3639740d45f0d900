import CBlas

/// y = x · Wᵀ + b with W in the numbers of a GGUF tensor, packed for the kernels. Read-only once made, so threads share
/// it.
///
/// Blocks of integers stay what they are: packing loses nothing, and takes the bytes of the file (Q4_K and Q5_K 3 %
/// more). Their products take activations in signed bytes, with a step for each 32. BF16 is multiplied as bfloat16, and
/// F16 and F32 as 32-bit floats. In all of them a row's result does not depend on the rows beside it, on the number of
/// threads, or on the instruction set.
struct QuantizedLinear: Sendable {
  /// The numbers that rows are put into before they are multiplied.
  enum RowKind: Sendable {
    case fp32, bf16, blocks
  }

  enum Weight: Sendable {
    case fp32(FloatBuffer)
    case bf16(AlignedBuffer<UInt32>)
    case blocks(cb_block_type, AlignedBuffer<UInt8>)
  }

  /// Widest row of a weight. A panel is sixteen rows, even where the tensor has one.
  static let inputLimit = 1 << 18

  private let weight: Weight
  private let bias: FloatBuffer?
  let inputs: Int
  /// Outputs that mean something.
  let outputs: Int

  init(weight: Weight, bias: FloatBuffer?, outputs: Int, inputs: Int) {
    (self.weight, self.bias, self.outputs, self.inputs) = (weight, bias, outputs, inputs)
  }

  /// Packs a tensor of shape (outputs, inputs) that is whole in memory; ``Builder`` takes it piece by piece.
  ///
  /// - Parameters:
  ///   - bytes: of the file, exactly the tensor's.
  ///   - bias: `outputs` floats, or more; what is behind them is not used.
  ///   - tensor: for errors.
  /// - Throws: `ModelError` for a shape that cannot be multiplied, another number of bytes, or a number that is not finite.
  init(
    _ bytes: UnsafeRawBufferPointer, type: GGUFTensorType, outputs: Int, inputs: Int, bias: FloatBuffer? = nil,
    tensor: String, file: String
  ) throws(ModelError) {
    let builder = try Builder(type: type, outputs: outputs, inputs: inputs, bias: bias, tensor: tensor, file: file)
    try builder.append(bytes)
    self = try builder.finish()
  }

  /// Floats of a row of outputs: a multiple of the kernels' width, zeros (or y itself) behind the last output.
  var width: Int { Self.width(outputs) }

  static func width(_ outputs: Int) -> Int { (outputs + Int(CB_LANES) - 1) / Int(CB_LANES) * Int(CB_LANES) }

  /// The same map with another bias: `outputs` floats, or more.
  func with(bias: FloatBuffer) -> QuantizedLinear {
    QuantizedLinear(weight: weight, bias: Self.padded(bias, outputs: outputs), outputs: outputs, inputs: inputs)
  }

  static func padded(_ bias: FloatBuffer, outputs: Int) -> FloatBuffer {
    guard bias.count < width(outputs) else { return bias }
    let padded = FloatBuffer(count: width(outputs))
    padded.pointer.update(from: bias.pointer, count: min(bias.count, outputs))
    return padded
  }

  /// Bytes that a packed weight takes: what a worker must have room for.
  static func byteCount(_ type: GGUFTensorType, outputs: Int, inputs: Int) -> Int {
    switch type {
    case .f32, .f16: width(outputs) * inputs * 4
    case .bf16: width(outputs) * inputs * 2
    default: type.blocks.map { width(outputs) / Int(CB_LANES) * cb_block_panel_bytes($0, inputs) } ?? 0
    }
  }

  /// Bytes of the packed weight.
  var byteCount: Int {
    switch weight {
    case .fp32(let packed): packed.count * 4
    case .bf16(let packed): packed.count * 4
    case .blocks(_, let packed): packed.count
    }
  }

  /// Rows of one kind serve all maps of that kind and of as many inputs: of queries, keys and values, say.
  var rowKind: RowKind {
    switch weight {
    case .fp32: .fp32
    case .bf16: .bf16
    case .blocks: .blocks
    }
  }

  /// Memory for rows in the numbers that are multiplied.
  final class Scratch: Sendable {
    fileprivate let halves: AlignedBuffer<UInt16>
    fileprivate let bytes: AlignedBuffer<Int8>
    fileprivate let steps: AlignedBuffer<cb_block_step>

    /// - Parameters:
    ///   - rows: at most so many at once.
    ///   - inputs: of the widest map.
    init(rows: Int, inputs: Int) {
      halves = AlignedBuffer(count: rows * inputs)
      bytes = AlignedBuffer(count: rows * inputs)
      steps = AlignedBuffer(count: rows * inputs / Int(CB_STEP))
    }

    /// Bytes that it takes.
    static func byteCount(rows: Int, inputs: Int) -> Int {
      3 * rows * inputs + rows * inputs / Int(CB_STEP) * MemoryLayout<cb_block_step>.stride
    }

    func wipe() {
      halves.wipe()
      bytes.wipe()
      steps.wipe()
    }
  }

  /// Rows in the numbers that maps of one kind multiply. They lie where they came from or in the scratch, until it is
  /// used next; threads may read them at once.
  struct Rows: @unchecked Sendable {
    fileprivate let pointer: UnsafeRawPointer
    fileprivate let steps: UnsafePointer<cb_block_step>?
    let kind: RowKind
    let count: Int
  }

  /// Rows of floats, x: (count, inputs).
  func rows(_ x: UnsafePointer<Float>, count: Int, using scratch: Scratch) -> Rows {
    switch weight {
    case .fp32: return Rows(pointer: x, steps: nil, kind: .fp32, count: count)
    case .bf16:
      cb_bf16_round(x, count * inputs, scratch.halves.pointer)
      return Rows(pointer: scratch.halves.pointer, steps: nil, kind: .bf16, count: count)
    case .blocks:
      cb_block_quantize(x, inputs, count, inputs, scratch.bytes.pointer, inputs, scratch.steps.pointer)
      return Rows(pointer: scratch.bytes.pointer, steps: scratch.steps.pointer, kind: .blocks, count: count)
    }
  }

  /// y = epilogue(rows · Wᵀ + b). y: (rows, width), of the kind that the epilogue writes.
  ///
  /// - Parameters:
  ///   - rows: of ``rowKind``, from this map or from another of as many inputs.
  ///   - part: of ``width``, from ``part(_:of:)``, so that threads share the outputs; all of them by default.
  func multiply(_ rows: Rows, _ epilogue: cb_epilogue, part: Range<Int>? = nil, to y: UnsafeMutableRawPointer) {
    precondition(rows.kind == rowKind, "rows of another kind of map")
    product(rows, part ?? 0..<width, epilogue, y, stride: width)
  }

  private func product(
    _ rows: Rows, _ part: Range<Int>, _ epilogue: cb_epilogue, _ y: UnsafeMutableRawPointer, stride: Int
  ) {
    guard !part.isEmpty, rows.count > 0 else { return }
    let (first, count, offset) = (part.lowerBound, part.count, bias.map { $0.pointer + part.lowerBound })
    switch weight {
    case .fp32(let packed):
      cb_linear(
        rows.pointer.assumingMemoryBound(to: Float.self), rows.count, inputs, inputs, packed.pointer + first * inputs,
        count, offset, epilogue, y.assumingMemoryBound(to: Float.self) + first, stride)
    case .bf16(let packed):
      let size = epilogue == CB_BIAS_BF16 || epilogue == CB_GELU_BF16 ? 2 : 4
      cb_bf16_linear(
        rows.pointer.assumingMemoryBound(to: UInt16.self), rows.count, inputs, packed.pointer + first * inputs / 2,
        count, offset, epilogue, y + first * size, stride)
    case .blocks(let type, let packed):
      var weight = cb_block_weight(packed: packed.pointer, type: type, inputs: inputs)
      cb_block_linear(
        rows.pointer.assumingMemoryBound(to: Int8.self), rows.steps, rows.count, &weight, first, count, bias?.pointer,
        epilogue, y, stride)
    }
  }

  /// The outputs of the `index`-th of `count` threads: as even as whole pairs of panels allow.
  func part(_ index: Int, of count: Int) -> Range<Int> {
    let pair = 2 * Int(CB_LANES)
    let pairs = (width + pair - 1) / pair
    return min(width, pairs * index / count * pair)..<min(width, pairs * (index + 1) / count * pair)
  }

  /// y = epilogue(x · Wᵀ + b). x: (rows, inputs); y: (rows, width), both floats.
  func apply(
    _ x: UnsafePointer<Float>, rows: Int, _ epilogue: cb_epilogue, to y: UnsafeMutablePointer<Float>,
    using scratch: Scratch
  ) {
    multiply(self.rows(x, count: rows, using: scratch), epilogue, to: y)
  }

}

/// A product shared by several threads, as ``Linear`` has it: some put rows into the numbers that are multiplied, some
/// compute a part of the outputs each.
extension QuantizedLinear {
  /// Puts some of the rows of x (rows, inputs) where ``multiply(prepared:count:outputs:_:to:stride:using:)`` of this map,
  /// or of another of the same ``rowKind`` and as many inputs, takes them.
  func prepare(_ x: UnsafePointer<Float>, rows: Range<Int>, using scratch: Scratch) {
    prepare(x + rows.lowerBound * inputs, stride: inputs, rows: rows, columns: 0..<inputs, using: scratch)
  }

  /// Of ranges of inputs that are prepared by themselves, the bounds are multiples of this.
  static let inputUnit = Int(CB_STEP)

  /// The same for some of the inputs of some rows. x begins at the first of them, its rows are `stride` floats apart; the
  /// bounds of `columns` are multiples of ``inputUnit``, or all inputs. Of a map of ``RowKind/fp32`` nothing is done: its
  /// product reads the floats themselves.
  func prepare(
    _ x: UnsafePointer<Float>, stride: Int, rows: Range<Int>, columns: Range<Int>, using scratch: Scratch
  ) {
    let place = rows.lowerBound * inputs + columns.lowerBound
    switch weight {
    case .fp32: break
    case .bf16:
      for row in 0..<rows.count {
        cb_bf16_round(x + row * stride, columns.count, scratch.halves.pointer + place + row * inputs)
      }
    case .blocks:
      cb_block_quantize(
        x, stride, rows.count, columns.count, scratch.bytes.pointer + place, inputs,
        scratch.steps.pointer + place / Int(CB_STEP))
    }
  }

  /// y = epilogue(x · Wᵀ + b) in some columns of y, whose rows are `stride` floats apart. x are `count` prepared rows;
  /// the bounds of `outputs` are multiples of the kernels' width, up to ``width``.
  func multiply(
    prepared x: UnsafePointer<Float>, count: Int, outputs range: Range<Int>, _ epilogue: cb_epilogue,
    to y: UnsafeMutablePointer<Float>, stride: Int, using scratch: Scratch
  ) {
    let rows: Rows =
      switch weight {
      case .fp32: Rows(pointer: x, steps: nil, kind: .fp32, count: count)
      case .bf16: Rows(pointer: scratch.halves.pointer, steps: nil, kind: .bf16, count: count)
      case .blocks: Rows(pointer: scratch.bytes.pointer, steps: scratch.steps.pointer, kind: .blocks, count: count)
      }
    product(rows, range, epilogue, y, stride: stride)
  }

  /// The weights of one output, exactly as the file has them (but BF16 below 2⁻⁵⁶ is zero): an embedding, where W is a
  /// table of them.
  /// `floats`: `inputs` of them.
  func copyRow(_ output: Int, to floats: UnsafeMutablePointer<Float>) {
    precondition(output >= 0 && output < outputs, "an output that is not there")
    let (lanes, lane) = (Int(CB_LANES), output % Int(CB_LANES))
    switch weight {
    case .fp32(let packed):
      let panel = packed.pointer + (output - lane) * inputs
      for k in 0..<inputs { floats[k] = panel[k * lanes + lane] }
    case .bf16(let packed):
      let panel = packed.pointer + (output - lane) * inputs / 2
      for k in 0..<inputs {
        let pair = panel[k / 2 * lanes + lane]
        floats[k] = Float(bitPattern: k % 2 == 0 ? pair << 16 : pair & 0xffff_0000)
      }
    case .blocks(let type, let packed): cb_block_row(type, packed.pointer, inputs, output, floats)
    }
  }
}
