import CBlas

extension QuantizedLinear {
  /// Packs a tensor from its bytes in the file's order, in pieces of any length: beside the packed weight there are
  /// never more than sixteen rows of it in memory.
  final class Builder {
    private let type: GGUFTensorType
    private let weight: Weight
    private let bias: FloatBuffer?
    private let outputs: Int
    private let inputs: Int
    private let tensor: String
    private let file: String
    private let rowBytes: Int
    /// Bytes of a panel that is not whole yet.
    private let pending: AlignedBuffer<UInt8>
    private var pendingCount = 0
    /// Rows that are packed.
    private var packed = 0
    private let floats: FloatBuffer

    /// - Parameters: as of ``QuantizedLinear/init(_:type:outputs:inputs:bias:tensor:file:)``.
    ///   - precision: in what floats are packed, fp32 or bf16; nil for what the type says. Blocks stay what they are.
    ///   - memory: where the packed weight lies; memory of its own by default.
    /// - Throws: `ModelError` for a shape that cannot be multiplied.
    init(
      type: GGUFTensorType, outputs: Int, inputs: Int, precision: Precision? = nil, bias: FloatBuffer? = nil,
      tensor: String, file: String, memory: WeightMemory? = nil
    ) throws(ModelError) {
      let (lanes, width) = (Int(CB_LANES), QuantizedLinear.width(outputs))
      guard outputs > 0, (1...QuantizedLinear.inputLimit).contains(inputs), inputs % lanes == 0,
        let rowBytes = type.byteCount(elements: inputs)
      else {
        throw SafetensorsHeader.failure(
          file, tensor,
          "of shape [\(outputs), \(inputs)] and type \(type.name) cannot be multiplied: rows must be multiples of "
            + "\(max(lanes, type.blockLength)), and at most \(QuantizedLinear.inputLimit)")
      }
      (self.type, self.outputs, self.inputs, self.rowBytes) = (type, outputs, inputs, rowBytes)
      (self.tensor, self.file) = (tensor, file)
      switch (type, precision) {
      case (.f32, .bf16), (.f16, .bf16), (.bf16, nil), (.bf16, .bf16):
        weight = .bf16(AlignedBuffer(count: width * inputs / 2, in: memory))
      case (.f32, _), (.f16, _), (.bf16, _): weight = .fp32(FloatBuffer(count: width * inputs, in: memory))
      default:
        guard let blocks = type.blocks else { throw SafetensorsHeader.failure(file, tensor, "has no blocks") }
        let bytes = width / lanes * cb_block_panel_bytes(blocks, inputs)
        weight = .blocks(blocks, AlignedBuffer(count: bytes, in: memory))
      }
      self.bias = bias.map { QuantizedLinear.padded($0, outputs: outputs) }
      pending = AlignedBuffer(count: lanes * rowBytes)
      floats = FloatBuffer(count: type.blocks == nil ? lanes * inputs : 0)
    }

    /// - Throws: `ModelError` for more bytes than the tensor has, and for a number that is not finite.
    func append(_ bytes: UnsafeRawBufferPointer) throws(ModelError) {
      var rest = bytes[...]
      while !rest.isEmpty {
        let rows = min(Int(CB_LANES), outputs - packed)
        let panelBytes = rows * rowBytes
        guard rows > 0 else { throw failure("has more bytes than its shape and type take") }
        if pendingCount == 0, rest.count >= panelBytes {
          try pack(UnsafeRawBufferPointer(rebasing: rest.prefix(panelBytes)), rows: rows)
          rest = rest.dropFirst(panelBytes)
          continue
        }
        let taken = rest.prefix(panelBytes - pendingCount)
        UnsafeMutableRawBufferPointer(start: pending.pointer + pendingCount, count: taken.count)
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: taken))
        pendingCount += taken.count
        rest = rest.dropFirst(taken.count)
        if pendingCount == panelBytes {
          pendingCount = 0
          try pack(UnsafeRawBufferPointer(start: pending.pointer, count: panelBytes), rows: rows)
        }
      }
    }

    /// - Throws: `ModelError` when bytes are missing.
    func finish() throws(ModelError) -> QuantizedLinear {
      guard packed == outputs else { throw failure("ends before its last row") }
      return QuantizedLinear(weight: weight, bias: bias, outputs: outputs, inputs: inputs)
    }

    private func failure(_ reason: String) -> ModelError { SafetensorsHeader.failure(file, tensor, reason) }

    private func pack(_ bytes: UnsafeRawBufferPointer, rows: Int) throws(ModelError) {
      guard let base = bytes.baseAddress else { return }
      let isFinite: Bool
      if case .blocks(let blocks, let packed) = weight {
        let panel = packed.pointer + self.packed / Int(CB_LANES) * cb_block_panel_bytes(blocks, inputs)
        isFinite = cb_block_pack(blocks, base.assumingMemoryBound(to: UInt8.self), rows, inputs, panel)
      } else {
        type.dequantize(base, count: rows * inputs, to: floats.pointer)
        isFinite = cb_all_finite(floats.pointer, rows * inputs)
      }
      guard isFinite else { throw failure("holds an infinity or a NaN") }
      switch weight {
      case .fp32(let packed):
        cb_pack(floats.pointer, rows, inputs, inputs, packed.pointer + self.packed * inputs)
      case .bf16(let packed):
        cb_bf16_pack(floats.pointer, rows, inputs, packed.pointer + self.packed * inputs / 2)
      case .blocks: break
      }
      packed += rows
    }
  }
}
