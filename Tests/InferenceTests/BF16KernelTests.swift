import CBlas
import Glibc
import TestSupport
import Testing

@testable import Inference

/// Products of bfloat16 pairs against plain loops, and the same bits from every instruction set.
@Suite("bf16 kernels", .serialized)
struct BF16KernelTests {
  private static func numbers(_ count: Int, seed: UInt64, in range: ClosedRange<Float> = -1...1) -> [Float] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: range, using: &random) }
  }

  /// Numbers of every size that a float has, with zeros, and a few that are not finite.
  private static func wild(_ count: Int, seed: UInt64, finite: Bool) -> [Float] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      let number = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
      return finite && !(abs(number) < 0x1p60) ? 0 : number
    }
  }

  private static func rounded(_ x: [Float]) -> [UInt16] {
    var out = [UInt16](repeating: 0, count: x.count)
    cb_bf16_round(x, x.count, &out)
    return out
  }

  private static func float(_ half: UInt16) -> Float { Float(bitPattern: UInt32(half) << 16) }

  /// Each instruction set that there is, portable first.
  private static func eachKernel(_ body: (String) throws -> Void) rethrows {
    defer { EachKernel.chooseBest() }
    for name in ["portable"] + Kernels.names where cb_select_kernel(name) { try body(name) }
  }

  @Test("rounding takes the nearest, ties to even, and leaves no number below 2⁻⁵⁶")
  func rounding() {
    var x = Self.wild(4096, seed: 1, finite: false)
    let special: [(Float, UInt16)] = [
      (0, 0), (-0.0, 0), (0x1p-56, 0x2380), (0x1.fffffep-57, 0), (-0x1p-140, 0), (.infinity, 0x7f80),
      (.greatestFiniteMagnitude, 0x7f80), (0x1.01p0, 0x3f80), (0x1.03p0, 0x3f82), (0x1.010002p0, 0x3f81),
    ]
    for (i, pair) in special.enumerated() { x[i] = pair.0 }
    Self.eachKernel { name in
      let y = Self.rounded(x)
      for (i, pair) in special.enumerated() { #expect(y[i] == pair.1, "\(pair.0) by \(name)") }
      for (number, half) in zip(x, y) {
        let back = Self.float(half)
        if number.isNaN {
          #expect(back.isNaN, "\(name)")
        } else if abs(number) < 0x1p-56 {
          #expect(back == 0, "\(name)")
        } else if back.isFinite {
          #expect(abs(back - number) <= abs(number) * 0x1p-8, "\(number) by \(name)")
        }
      }
    }
  }

  @Test("a product is the chain of multiply-adds, odd element first, for every size of number", arguments: [16, 48])
  func chain(outputs: Int) {
    let inputs = 64
    for (seed, wild) in [(UInt64(1), false), (2, true)] {
      func make(_ count: Int, _ seed: UInt64) -> [Float] {
        wild ? Self.wild(count, seed: seed, finite: true) : Self.numbers(count, seed: seed)
      }
      let weight = make(outputs * inputs, seed)
      let (halves, bias) = (Self.rounded(weight).map(Self.float), Self.numbers(outputs, seed: 4))
      var packed = [UInt32](repeating: 0, count: outputs * inputs / 2)
      cb_bf16_pack(weight, outputs, inputs, &packed)
      for rows in [1, 2, 5, 6, 11, 12, 13, 31] {
        let x = Self.rounded(make(rows * inputs, UInt64(rows) + 9))
        var expected: [UInt32] = []
        for row in 0..<rows {
          for output in 0..<outputs {
            var sum: Float = 0
            for k in stride(from: 0, to: inputs, by: 2) {
              for i in [k + 1, k] {
                sum = fmaf(Self.float(x[row * inputs + i]), halves[output * inputs + i], sum)
              }
            }
            expected.append((sum + bias[output]).bitPattern)
          }
        }
        Self.eachKernel { name in
          var y = [Float](repeating: 0, count: rows * outputs)
          cb_bf16_linear(x, rows, inputs, packed, outputs, bias, CB_BIAS, &y, outputs)
          #expect(y.map(\.bitPattern) == expected, "\(rows) rows by \(name)")
        }
      }
    }
  }

  @Test("residual, GELU and results in bfloat16")
  func epilogues() {
    let (rows, inputs, outputs) = (14, 48, 32)
    let x = Self.rounded(Self.numbers(rows * inputs, seed: 1))
    let weight = Self.numbers(inputs * outputs, seed: 2)
    let bias = Self.numbers(outputs, seed: 3)
    var packed = [UInt32](repeating: 0, count: weight.count / 2)
    cb_bf16_pack(weight, outputs, inputs, &packed)
    var plain = [Float](repeating: 1, count: rows * outputs)
    var (added, activated) = (plain, plain)
    var halves = [UInt16](repeating: 0, count: plain.count)
    var activatedHalves = halves
    cb_bf16_linear(x, rows, inputs, packed, outputs, bias, CB_BIAS, &plain, outputs)
    cb_bf16_linear(x, rows, inputs, packed, outputs, bias, CB_ADD, &added, outputs)
    cb_bf16_linear(x, rows, inputs, packed, outputs, bias, CB_GELU, &activated, outputs)
    cb_bf16_linear(x, rows, inputs, packed, outputs, bias, CB_BIAS_BF16, &halves, outputs)
    cb_bf16_linear(x, rows, inputs, packed, outputs, bias, CB_GELU_BF16, &activatedHalves, outputs)
    #expect(halves == Self.rounded(plain) && added == plain.map { $0 + 1 })
    for i in plain.indices {
      let exact = 0.5 * plain[i] * erfcf(-plain[i] / Float(2).squareRoot())
      #expect(abs(exact - activated[i]) < 1e-6)
      #expect(abs(exact - Self.float(activatedHalves[i])) < 2.5e-4 + abs(exact) * 0x1p-8)
    }
  }

  @Test(
    "attention in bfloat16 is near the exact one, with the same bits everywhere", arguments: [1, 2, 15, 16, 17, 45])
  func attention(tokens: Int) {
    let (heads, width) = (3, 32)
    let values = Self.numbers(heads * (2 * tokens - 1), seed: 5)
    let qkv = Self.rounded(Self.numbers(tokens * 3 * heads * width, seed: 6, in: -3...3))
    let exactInput = qkv.map(Self.float)
    var scratch = [Float](repeating: .nan, count: cb_attention_scratch(tokens, width))
    let whole = cb_attention_part(
      tokens: tokens, heads: heads, head_width: width, first_head: 0, end_head: heads)
    for biased in [false, true] {
      values.withUnsafeBufferPointer { values in
        var bias = cb_distance_bias(values: values.baseAddress, limit: tokens)
        withUnsafePointer(to: &bias) { bias in
          var exact = [Float](repeating: 0, count: tokens * heads * width)
          cb_attention(exactInput, whole, 0.2, biased ? bias : nil, &scratch, &exact)
          var first: [UInt16] = []
          Self.eachKernel { name in
            var out = [UInt16](repeating: 0, count: tokens * heads * width)
            cb_bf16_attention(qkv, whole, 0.2, biased ? bias : nil, &scratch, &out)
            if first.isEmpty { first = out }
            #expect(out == first, "\(name)")
            #expect(zip(out, exact).allSatisfy { abs(Self.float($0) - $1) < 0.03 }, "\(name)")
          }
        }
      }
    }
  }

  @Test("a normalised row is what the steps make of it one by one")
  func norms() {
    let (rows, width) = (5, 48)
    let x = Self.numbers(rows * width, seed: 7)
    let (gain, bias) = (Self.numbers(width, seed: 8), Self.numbers(width, seed: 9))
    let factor = Self.numbers(width, seed: 10, in: 0.5...2)
    gain.withUnsafeBufferPointer { gain in
      bias.withUnsafeBufferPointer { bias in
        var norm = cb_norm(gain: gain.baseAddress, bias: bias.baseAddress, epsilon: 1e-6)
        Self.eachKernel { name in
          var (plain, half, byte) = (x, x, x)
          cb_layernorm(&plain, rows, width, gain.baseAddress, bias.baseAddress, 1e-6)
          var halves = [UInt16](repeating: 0, count: x.count)
          cb_layernorm_bf16(&half, rows, width, &norm, &halves)
          #expect(zip(half, plain).allSatisfy { abs($0 - $1) < 1e-6 } && halves == Self.rounded(half), "\(name)")
          var (bytes, steps) = ([UInt8](repeating: 0, count: x.count), [cb_row](repeating: cb_row(), count: rows))
          cb_layernorm_int8(&byte, rows, width, &norm, factor, &bytes, &steps)
          var (expected, expectedSteps) = (bytes, steps)
          cb_int8_quantize(half, rows, width, factor, &expected, &expectedSteps)
          #expect(byte == half && bytes == expected, "\(name)")
          #expect(steps.map(\.step) == expectedSteps.map(\.step) && steps.map(\.zero) == expectedSteps.map(\.zero))
        }
      }
    }
  }
}
