import CBlas
import TestSupport
import Testing

@testable import Inference

/// Weights in GGUF's blocks: packed without loss, and multiplied with the same bits on every instruction set.
@Suite("Quantised products", .serialized)
struct QuantizedLinearTests {
  private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
  }

  /// Bytes of a tensor of any integers, its scales and minima small finite numbers.
  static func tensor(_ type: GGUFTensorType, outputs: Int, inputs: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    let count = outputs * inputs / type.blockLength
    return (0..<count).flatMap { _ in
      var block = (0..<type.blockBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
      // binary16: the upper byte of a number from 2⁻⁷ to 2⁻⁴, of either sign.
      func half(_ place: Int) {
        block[place + 1] = UInt8.random(in: 0x20...0x2b, using: &random) | (Bool.random(using: &random) ? 0x80 : 0)
      }
      switch type {
      case .f32:
        block[3] = UInt8.random(in: 0x3b...0x3f, using: &random)
      case .bf16: block[1] = UInt8.random(in: 0x3b...0x3f, using: &random)
      case .f16: half(0)
      case .q6_K: half(208)
      case .q4_0, .q5_0, .q8_0: half(0)
      default:
        half(0)
        half(2)
      }
      return block
    }
  }

  private static func linear(
    _ type: GGUFTensorType, _ bytes: [UInt8], outputs: Int, inputs: Int, bias: FloatBuffer? = nil
  ) throws -> QuantizedLinear {
    try bytes.withUnsafeBytes { bytes in
      try QuantizedLinear(
        bytes, type: type, outputs: outputs, inputs: inputs, bias: bias, tensor: "t", file: "model.gguf")
    }
  }

  private static func floats(_ type: GGUFTensorType, _ bytes: [UInt8], count: Int) -> [Float] {
    var floats = [Float](repeating: 0, count: count)
    bytes.withUnsafeBytes { bytes in
      if let base = bytes.baseAddress { type.dequantize(base, count: count, to: &floats) }
    }
    return floats
  }

  @Test("packing loses nothing, whatever pieces the bytes come in", arguments: GGUFTensorType.allCases)
  func lossless(type: GGUFTensorType) throws {
    let (outputs, inputs) = (37, 512)
    let bytes = Self.tensor(type, outputs: outputs, inputs: inputs)
    let expected = Self.floats(type, bytes, count: outputs * inputs)
    for piece in [bytes.count, 1000, 7 * 1024 + 1] {
      let builder = try QuantizedLinear.Builder(
        type: type, outputs: outputs, inputs: inputs, tensor: "t", file: "model.gguf")
      for start in stride(from: 0, to: bytes.count, by: piece) {
        try bytes[start..<min(start + piece, bytes.count)].withUnsafeBytes { try builder.append($0) }
      }
      let linear = try builder.finish()
      #expect(linear.width == 48 && linear.outputs == outputs)
      var row = [Float](repeating: 0, count: inputs)
      for output in 0..<outputs {
        linear.copyRow(output, to: &row)
        #expect(row.map(\.bitPattern) == expected[(output * inputs)..<((output + 1) * inputs)].map(\.bitPattern))
      }
    }
  }

  @Test("an infinity or what is no number makes its own row's products no number", arguments: GGUFTensorType.allCases)
  func notFinite(type: GGUFTensorType) throws {
    let (outputs, inputs) = (16, 256)
    let linear = try Self.linear(
      type, Self.tensor(type, outputs: outputs, inputs: inputs), outputs: outputs, inputs: inputs)
    let scratch = QuantizedLinear.Scratch(rows: 3, inputs: inputs)
    for bad in [Float.nan, .infinity, -.infinity] {
      for places in [[3], [40], Array(0..<inputs)] {
        var x = Self.numbers(3 * inputs, seed: 22)
        for place in places { x[inputs + place] = bad }
        var y = [Float](repeating: 0, count: 3 * linear.width)
        linear.apply(x, rows: 3, CB_BIAS, to: &y, using: scratch)
        #expect(y[16..<32].allSatisfy { !$0.isFinite }, "\(bad) at \(places.count) places")
        #expect((y[..<16] + y[32...]).allSatisfy { $0.isFinite })
      }
    }
  }

  @Test("y = epilogue(x · Wᵀ + b), as the dequantised weights give it", arguments: GGUFTensorType.allCases)
  func product(type: GGUFTensorType) throws {
    let (rows, outputs, inputs) = (11, 40, 768)
    let bytes = Self.tensor(type, outputs: outputs, inputs: inputs)
    let weights = Self.floats(type, bytes, count: outputs * inputs)
    let bias = FloatBuffer(count: outputs)
    for (i, value) in Self.numbers(outputs, seed: 2).enumerated() { bias.pointer[i] = value }
    let linear = try Self.linear(type, bytes, outputs: outputs, inputs: inputs, bias: bias)
    let x = Self.numbers(rows * inputs, seed: 3)
    let scratch = QuantizedLinear.Scratch(rows: rows, inputs: inputs)
    var y = [Float](repeating: 0, count: rows * linear.width)
    linear.apply(x, rows: rows, CB_BIAS, to: &y, using: scratch)
    for row in 0..<rows {
      for output in 0..<outputs {
        var (sum, size) = (Double(bias.pointer[output]), 0.0)
        for k in 0..<inputs {
          let term = Double(x[row * inputs + k]) * Double(weights[output * inputs + k])
          sum += term
          size += term * term
        }
        // Rounding of the activations, to 1/254 of the greatest of 32, or to bfloat16, adds up like noise.
        let tolerance = linear.rowKind == .fp32 ? 1e-5 : 0.05
        #expect(abs(Double(y[row * linear.width + output]) - sum) <= tolerance * size.squareRoot() + 1e-5)
      }
    }
    var twice = y
    linear.apply(x, rows: rows, CB_ADD, to: &twice, using: scratch)
    for row in 0..<rows {
      for place in (row * linear.width)..<(row * linear.width + outputs) { #expect(twice[place] == 2 * y[place]) }
    }
  }

  @Test(
    "a row has the same bits alone, among others, in any part, on every instruction set",
    arguments: GGUFTensorType.allCases)
  func invariance(type: GGUFTensorType) throws {
    let (rows, outputs, inputs) = (103, 80, 1280)
    let linear = try Self.linear(
      type, Self.tensor(type, outputs: outputs, inputs: inputs), outputs: outputs, inputs: inputs)
    let x = Self.numbers(rows * inputs, seed: 4)
    let scratch = QuantizedLinear.Scratch(rows: rows, inputs: inputs)
    var first: [UInt32]?
    EachKernel.run { kernel in
      var y = [Float](repeating: 0, count: rows * outputs)
      linear.apply(x, rows: rows, CB_BIAS, to: &y, using: scratch)
      let bits = y.map(\.bitPattern)
      #expect(first ?? bits == bits, "\(kernel)")
      first = bits
      var start = 0
      for count in [1, 2, 3, 4, 7, 8, 9, 16, 53] {
        var some = [Float](repeating: 0, count: count * outputs)
        x.withUnsafeBufferPointer { x in
          guard let base = x.baseAddress else { return }
          let rows = linear.rows(base + start * inputs, count: count, using: scratch)
          for thread in 0..<2 { linear.multiply(rows, CB_BIAS, part: linear.part(thread, of: 2), to: &some) }
        }
        #expect(
          some.map(\.bitPattern)[...] == bits[(start * outputs)..<((start + count) * outputs)], "\(kernel) \(count)")
        start += count
      }
      #expect(start == rows)
    }
  }

  @Test("shapes, lengths and numbers that cannot be are refused, naming the tensor")
  func refused() throws {
    func reason(_ body: () throws -> Any) -> String {
      do {
        _ = try body()
        return "accepted"
      } catch {
        return "\(error)"
      }
    }
    let fine = Self.tensor(.q4_K, outputs: 3, inputs: 256)
    for (type, outputs, inputs) in [(GGUFTensorType.q4_K, 3, 128), (.q8_0, 3, 48), (.f32, 3, 8), (.q4_0, 0, 32)] {
      #expect(
        reason { try Self.linear(type, fine, outputs: outputs, inputs: inputs) }
          .hasPrefix("model.gguf: tensor `t` of shape [\(outputs), \(inputs)] and type \(type.name) cannot be"))
    }
    #expect(reason { try Self.linear(.q4_K, fine + [0], outputs: 3, inputs: 256) }.contains("more bytes"))
    #expect(reason { try Self.linear(.q4_K, fine.dropLast(), outputs: 3, inputs: 256) }.contains("before its last row"))
    for type in GGUFTensorType.allCases {
      var bytes = Self.tensor(type, outputs: 3, inputs: 256)
      let last = bytes.count - type.blockBytes
      // Of the block's scale, or the number itself.
      let place = last + (type == .q6_K ? 208 : type == .f32 ? 2 : 0)
      (bytes[place], bytes[place + 1]) = (0x80, 0x7f)
      #expect(
        reason { try Self.linear(type, bytes, outputs: 3, inputs: 256) }.contains("an infinity or a NaN"), "\(type)")
    }
  }
}
