import CBlas
import Glibc
import TestSupport
import Testing

@testable import Inference

/// Products of bytes against plain integer loops, and the same bits from every instruction set.
@Suite("int8 kernels", .serialized)
struct Int8KernelTests {
  private static func numbers(_ count: Int, seed: UInt64, in range: ClosedRange<Float> = -1...1) -> [Float] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: range, using: &random) }
  }

  private struct Quantized: Equatable {
    var bytes: [UInt8]
    var steps: [Float]
    var zeros: [Int32]
    var rows: [cb_row] { zip(steps, zeros).map { cb_row(step: $0, zero: $1) } }

    init(_ x: [Float], width: Int, factor: [Float]? = nil) {
      let count = x.count / width
      bytes = [UInt8](repeating: 0, count: x.count)
      var rows = [cb_row](repeating: cb_row(), count: count)
      if let factor {
        cb_int8_quantize(x, count, width, factor, &bytes, &rows)
      } else {
        cb_int8_quantize(x, count, width, nil, &bytes, &rows)
      }
      (steps, zeros) = (rows.map(\.step), rows.map(\.zero))
    }
  }

  /// A weight as the kernels have it, and its bytes by (output, input).
  private struct Weight {
    let packed: [Int8]
    let scales: [Float]
    let sums: [Int32]
    let (outputs, inputs): (Int, Int)

    init(_ weight: [Float], outputs: Int, inputs: Int) {
      var packed = [Int8](repeating: 0, count: weight.count)
      var scales = [Float](repeating: 0, count: outputs)
      var sums = [Int32](repeating: 0, count: outputs)
      cb_int8_pack(weight, outputs, inputs, &packed, &scales, &sums)
      (self.packed, self.scales, self.sums) = (packed, scales, sums)
      (self.outputs, self.inputs) = (outputs, inputs)
    }

    subscript(output: Int, input: Int) -> Int {
      let panel = output / 16 * 16 * inputs
      return Int(packed[panel + input / 4 * 64 + output % 16 * 4 + input % 4])
    }

    func apply(_ x: Quantized, bias: [Float], _ epilogue: cb_epilogue, to y: inout [Float]) {
      packed.withUnsafeBufferPointer { packed in
        scales.withUnsafeBufferPointer { scales in
          sums.withUnsafeBufferPointer { sums in
            var weight = cb_int8_weight(
              packed: packed.baseAddress, scales: scales.baseAddress, sums: sums.baseAddress, outputs: outputs,
              inputs: inputs)
            cb_int8_linear(x.bytes, x.rows, x.steps.count, &weight, bias, epilogue, &y, outputs)
          }
        }
      }
    }
  }

  @Test("a quantised row is within half a step of the row, and zero stays zero")
  func quantize() {
    let width = 64
    var x = Self.numbers(40 * width, seed: 1, in: -3...5)
    for i in 0..<width { x[i] = 0 }
    for i in width..<(2 * width) { x[i] = 7 }
    for i in (2 * width)..<(3 * width) { x[i] = -abs(x[i]) }
    x[5 * width + 3] = 0
    let q = Quantized(x, width: width)
    for row in 0..<40 {
      for i in 0..<width {
        let value = Double(q.steps[row]) * Double(Int(q.bytes[row * width + i]) - Int(q.zeros[row]))
        // The zero point is rounded too: half a step for it, half for the value.
        #expect(abs(value - Double(x[row * width + i])) <= Double(q.steps[row]) * 1.0001)
      }
    }
    #expect(q.steps[0] == 0 && Int32(q.bytes[5 * width + 3]) == q.zeros[5])
    // A row by itself has the bytes that it has among others.
    let alone = Quantized(Array(x[(7 * width)..<(8 * width)]), width: width)
    #expect(alone.bytes == Array(q.bytes[(7 * width)..<(8 * width)]) && alone.zeros[0] == q.zeros[7])
  }

  @Test("an infinity or what is no number makes its own row's products no number, and no other's")
  func badRows() {
    let (width, outputs) = (64, 32)
    let weight = Weight(Self.numbers(width * outputs, seed: 21), outputs: outputs, inputs: width)
    let bias = [Float](repeating: 0, count: outputs)
    for bad in [Float.nan, .infinity, -.infinity] {
      for places in [[3], [40], Array(0..<width)] {
        var x = Self.numbers(3 * width, seed: 22)
        for place in places { x[width + place] = bad }
        var y = [Float](repeating: 0, count: 3 * outputs)
        weight.apply(Quantized(x, width: width), bias: bias, CB_BIAS, to: &y)
        #expect(y[outputs..<(2 * outputs)].allSatisfy { !$0.isFinite }, "\(bad) at \(places.count) places")
        #expect((y[..<outputs] + y[(2 * outputs)...]).allSatisfy { $0.isFinite })
      }
    }
  }

  @Test("a channel's factor multiplies it before the row becomes bytes")
  func channelFactor() {
    let width = 48
    let x = Self.numbers(9 * width, seed: 10, in: -2...3)
    let factor = Self.numbers(width, seed: 11, in: 0.01...4)
    let multiplied = x.enumerated().map { $1 * factor[$0 % width] }
    #expect(Quantized(x, width: width, factor: factor) == Quantized(multiplied, width: width))
  }

  @Test("input scales take an outlier out of the activations and leave the product as it is")
  func inputScales() throws {
    let (rows, inputs, outputs) = (6, 64, 32)
    var x = Self.numbers(rows * inputs, seed: 12)
    for row in 0..<rows { x[row * inputs + 7] *= 200 }
    let (weight, bias) = (FloatBuffer(count: inputs * outputs), FloatBuffer(count: outputs))
    for (i, value) in Self.numbers(weight.count, seed: 13).enumerated() { weight.pointer[i] = value }
    func product(_ precision: Precision, _ scales: [Float]?) -> [Float] {
      let linear = Linear([(weight, bias)], inputs: inputs, precision: precision, inputScales: scales)
      let scratch = Linear.Scratch(rows: rows, inputs: inputs, precision: precision)
      var y = [Float](repeating: 0, count: rows * outputs)
      linear.apply(x, rows: rows, CB_BIAS, to: &y, using: scratch)
      return y
    }
    func error(_ scales: [Float]?) -> Float {
      zip(product(.int8, scales), product(.fp32, nil)).map { ($0 - $1) * ($0 - $1) }.reduce(0, +)
    }
    let scales = (0..<inputs).map { $0 == 7 ? Float(14) : 1 }
    #expect(error(scales) < error(nil) / 10)
    #expect(product(.fp32, scales) == product(.fp32, nil))
  }

  @Test("what is no number, or infinite, ends in some bytes and no trap")
  func notFinite() {
    for bad in [Float.nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude] {
      var x = Self.numbers(32, seed: 2)
      x[5] = bad
      let q = Quantized(x, width: 32)
      #expect(q.bytes.count == 32)
    }
  }

  @Test("y = epilogue(product of bytes), for every number of rows", arguments: [16, 48], [16, 64, 400])
  func linear(outputs: Int, inputs: Int) {
    let floats = Self.numbers(outputs * inputs, seed: 3)
    let weight = Weight(floats, outputs: outputs, inputs: inputs)
    for output in 0..<outputs {
      for k in 0..<inputs {
        let value = Double(weight.scales[output]) * Double(weight[output, k])
        #expect(abs(value - Double(floats[output * inputs + k])) <= Double(weight.scales[output]) * 0.501)
      }
    }
    let bias = Self.numbers(outputs, seed: 4)
    for rows in [1, 2, 3, 7, 8, 23, 24, 25, 49, 200] {
      let x = Quantized(Self.numbers(rows * inputs, seed: UInt64(rows), in: -1...2), width: inputs)
      let before = Self.numbers(rows * outputs, seed: 5)
      var (plain, added, activated) = (before, before, before)
      weight.apply(x, bias: bias, CB_BIAS, to: &plain)
      weight.apply(x, bias: bias, CB_ADD, to: &added)
      weight.apply(x, bias: bias, CB_GELU, to: &activated)
      var worst = 0.0
      for row in 0..<rows {
        for output in 0..<outputs {
          var sum = 0
          for k in 0..<inputs {
            sum += (Int(x.bytes[row * inputs + k]) - Int(x.zeros[row])) * weight[output, k]
          }
          let exact = Double(sum) * Double(x.steps[row]) * Double(weight.scales[output]) + Double(bias[output])
          let place = row * outputs + output
          worst = max(worst, abs(exact - Double(plain[place])))
          worst = max(worst, abs(exact + Double(before[place]) - Double(added[place])))
          let gelu = 0.5 * exact * erfc(-exact / 2.0.squareRoot())
          #expect(abs(gelu - Double(activated[place])) < 2.5e-4)
        }
      }
      #expect(worst < 2e-5, "\(rows) rows")
    }
  }

  @Test("the greatest sums fit 32 bits")
  func extremes() {
    let inputs = Int(CB_INT8_INPUTS)
    let weight = Weight([Float](repeating: 1, count: 16 * inputs), outputs: 16, inputs: inputs)
    // 255 everywhere with zero point 0, and (nearly) 0 everywhere with zero point 255.
    for sign in [Float(1), -1] {
      let x = Quantized([Float](repeating: sign, count: inputs), width: inputs)
      var y = [Float](repeating: 0, count: 16)
      weight.apply(x, bias: [Float](repeating: 0, count: 16), CB_BIAS, to: &y)
      #expect(abs(y[3] / (sign * Float(inputs)) - 1) < 1e-5)
    }
  }

  @Test("AVX-512, AVX2 and portable kernels give the same bits")
  func instructionSets() {
    defer { EachKernel.chooseBest() }
    let (rows, inputs, outputs) = (61, 208, 48)
    let x = Self.numbers(rows * inputs, seed: 6, in: -4...3)
    let weight = Weight(Self.numbers(outputs * inputs, seed: 7), outputs: outputs, inputs: inputs)
    let bias = Self.numbers(outputs, seed: 8)
    let factor = Self.numbers(inputs, seed: 14, in: 0.1...3)
    var reference: [(Quantized, [[UInt32]])] = []
    for name in ["portable"] + Kernels.names where cb_select_kernel(name) {
      let q = Quantized(x, width: inputs, factor: factor)
      let results = [CB_BIAS, CB_GELU, CB_ADD].map { epilogue in
        var y = Self.numbers(rows * outputs, seed: 9)
        weight.apply(q, bias: bias, epilogue, to: &y)
        return y.map(\.bitPattern)
      }
      reference.append((q, results))
      #expect(reference[0].0 == q && reference[0].1 == results, "\(name)")
    }
  }
}
