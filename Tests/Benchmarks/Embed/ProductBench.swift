import CBlas
import Inference

/// The dense products of MiniLM alone, one thread, weights packed beforehand: scripts/bench/products.py measures oneDNN's.
struct ProductBench {
  /// Outputs and inputs of a weight, and 10⁹ operations a second.
  struct Figure: Encodable {
    let inputs: Int
    let outputs: Int
    let rows: Int
    let rate: Double
  }

  private static let shapes = [(384, 1152), (384, 384), (384, 1536), (1536, 384)]
  private static let rows = 512

  let precision: Precision
  /// The best of so many runs counts.
  let repetitions: Int

  func run() -> [Figure] {
    Self.shapes.map { inputs, outputs in
      let product = product(inputs: inputs, outputs: outputs)
      product()
      let clock = ContinuousClock()
      let least = (0..<max(1, repetitions)).map { _ in clock.measure(product) }.min() ?? .seconds(1)
      let operations = 2 * Double(Self.rows * inputs * outputs)
      return Figure(
        inputs: inputs, outputs: outputs, rows: Self.rows, rate: operations / (least / .seconds(1)) / 1e9)
    }
  }

  private func product(inputs: Int, outputs: Int) -> () -> Void {
    let rows = Self.rows
    let x = Memory<Float>(rows * inputs) { Float(($0 * 7919) % 1000) / 500 - 1 }
    let weight = Memory<Float>(outputs * inputs) { Float(($0 * 104_729) % 1000) / 5000 - 0.1 }
    let bias = Memory<Float>(outputs) { Float($0 % 10) / 10 }
    let y = Memory<Float>(rows * outputs) { _ in 0 }
    switch precision {
    case .fp32:
      let packed = Memory<Float>(cb_packed_size(outputs, inputs)) { _ in 0 }
      cb_pack(weight.pointer, outputs, inputs, inputs, packed.pointer)
      return {
        cb_linear(
          x.pointer, rows, inputs, inputs, packed.pointer, outputs, bias.pointer, CB_BIAS, y.pointer, outputs)
      }
    case .bf16:
      let packed = Memory<UInt32>(outputs * inputs / 2) { _ in 0 }
      let halves = Memory<UInt16>(rows * inputs) { _ in 0 }
      cb_bf16_pack(weight.pointer, outputs, inputs, packed.pointer)
      cb_bf16_round(x.pointer, rows * inputs, halves.pointer)
      return {
        cb_bf16_linear(
          halves.pointer, rows, inputs, packed.pointer, outputs, bias.pointer, CB_BIAS_BF16, y.pointer, outputs)
      }
    case .int8:
      let packed = Memory<Int8>(outputs * inputs) { _ in 0 }
      let (scales, sums) = (Memory<Float>(outputs) { _ in 0 }, Memory<Int32>(outputs) { _ in 0 })
      let bytes = Memory<UInt8>(rows * inputs) { _ in 0 }
      let steps = Memory<cb_row>(rows) { _ in cb_row() }
      cb_int8_pack(weight.pointer, outputs, inputs, packed.pointer, scales.pointer, sums.pointer)
      cb_int8_quantize(x.pointer, rows, inputs, nil, bytes.pointer, steps.pointer)
      return {
        var weight = cb_int8_weight(
          packed: packed.pointer, scales: scales.pointer, sums: sums.pointer, outputs: outputs, inputs: inputs)
        cb_int8_linear(bytes.pointer, steps.pointer, rows, &weight, bias.pointer, CB_BIAS, y.pointer, outputs)
      }
    }
  }

  /// Aligned to a cache line, as the kernels want it.
  private final class Memory<Element> {
    let pointer: UnsafeMutablePointer<Element>

    init(_ count: Int, _ value: (Int) -> Element) {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<Element>.stride, alignment: 64)
      pointer = raw.bindMemory(to: Element.self, capacity: count)
      for index in 0..<count { (pointer + index).initialize(to: value(index)) }
    }

    deinit { pointer.deallocate() }
  }
}
