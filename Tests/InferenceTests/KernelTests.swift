import CBlas
import Glibc
import TestSupport
import Testing

@testable import Inference

/// The kernels against plain double-precision loops.
@Suite("Kernels compute what they say")
struct KernelTests {
  private static func numbers(_ count: Int, seed: UInt64) -> [Float] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
  }

  @Test("x·Wᵀ + b for every number of rows and odd numbers of panels", arguments: [16, 48, 96], [1, 7, 64])
  func linear(outputs: Int, inputs: Int) {
    let weight = Self.numbers(outputs * inputs, seed: 1)
    let bias = Self.numbers(outputs, seed: 2)
    var packed = [Float](repeating: .nan, count: cb_packed_size(outputs, inputs))
    cb_pack(weight, outputs, inputs, inputs, &packed)
    for rows in [1, 2, 3, 5, 6, 7, 11, 12, 13, 25, 40, 241] {
      let x = Self.numbers(rows * inputs, seed: UInt64(rows))
      var y = [Float](repeating: .nan, count: rows * outputs)
      cb_linear(x, rows, inputs, inputs, packed, outputs, bias, CB_BIAS, &y, outputs)
      var (worst, worstAdded, worstActivated) = (0.0, 0.0, 0.0)
      var (added, activated) = (y, y)
      cb_linear(x, rows, inputs, inputs, packed, outputs, bias, CB_ADD, &added, outputs)
      cb_linear(x, rows, inputs, inputs, packed, outputs, bias, CB_GELU, &activated, outputs)
      for row in 0..<rows {
        for output in 0..<outputs {
          var sum = Double(bias[output])
          for k in 0..<inputs { sum += Double(x[row * inputs + k]) * Double(weight[output * inputs + k]) }
          let place = row * outputs + output
          worst = max(worst, abs(sum - Double(y[place])))
          worstAdded = max(worstAdded, abs(2 * sum - Double(added[place])))
          let gelu = 0.5 * sum * erfc(-sum / 2.0.squareRoot())
          worstActivated = max(worstActivated, abs(gelu - Double(activated[place])))
        }
      }
      #expect(worst < 1e-5 && worstAdded < 2e-5 && worstActivated < 2e-5, "\(rows) rows")
    }
  }

  @Test("attention is softmax(QKᵀ)V for every length", arguments: [1, 2, 15, 16, 17, 33])
  func attention(tokens: Int) {
    let (heads, width) = (2, 16)
    let qkv = Self.numbers(tokens * 3 * heads * width, seed: UInt64(tokens))
    var scratch = [Float](repeating: .nan, count: cb_attention_scratch(tokens, width))
    let whole = cb_attention_part(
      tokens: tokens, heads: heads, head_width: width, first_head: 0, end_head: heads)
    var out = [Float](repeating: .nan, count: tokens * heads * width)
    cb_attention(qkv, whole, 0.25, nil, &scratch, &out)
    let row = 3 * heads * width
    var worst = 0.0
    for head in 0..<heads {
      for t in 0..<tokens {
        let weights = (0..<tokens).map { s in
          exp(
            0.25
              * (0..<width).reduce(0.0) { sum, i in
                sum + Double(qkv[t * row + head * width + i]) * Double(qkv[s * row + (heads + head) * width + i])
              })
        }
        let total = weights.reduce(0, +)
        for i in 0..<width {
          let mixed = (0..<tokens).reduce(0.0) {
            $0 + weights[$1] * Double(qkv[$1 * row + (2 * heads + head) * width + i])
          }
          worst = max(worst, abs(mixed / total - Double(out[t * heads * width + head * width + i])))
        }
      }
    }
    #expect(worst < 1e-6)
  }

  @Test("a bias by distance is added to the scores of each head", arguments: [1, 15, 16, 17, 33])
  func distanceBias(tokens: Int) {
    let (heads, width, limit) = (2, 16, 40)
    let qkv = Self.numbers(tokens * 3 * heads * width, seed: UInt64(tokens))
    let values = Self.numbers(heads * (2 * limit - 1), seed: 77)
    var scratch = [Float](repeating: .nan, count: cb_attention_scratch(tokens, width))
    let whole = cb_attention_part(
      tokens: tokens, heads: heads, head_width: width, first_head: 0, end_head: heads)
    var out = [Float](repeating: .nan, count: tokens * heads * width)
    values.withUnsafeBufferPointer {
      var bias = cb_distance_bias(values: $0.baseAddress, limit: limit)
      cb_attention(qkv, whole, 0.25, &bias, &scratch, &out)
    }
    let row = 3 * heads * width
    var worst = 0.0
    for head in 0..<heads {
      for t in 0..<tokens {
        let weights = (0..<tokens).map { s in
          let score = (0..<width).reduce(0.0) { sum, i in
            sum + Double(qkv[t * row + head * width + i]) * Double(qkv[s * row + (heads + head) * width + i])
          }
          return exp(0.25 * score + Double(values[head * (2 * limit - 1) + limit - 1 + s - t]))
        }
        let total = weights.reduce(0, +)
        for i in 0..<width {
          let mixed = (0..<tokens).reduce(0.0) {
            $0 + weights[$1] * Double(qkv[$1 * row + (2 * heads + head) * width + i])
          }
          worst = max(worst, abs(mixed / total - Double(out[t * heads * width + head * width + i])))
        }
      }
    }
    #expect(worst < 1e-6)
  }

  @Test("ReLU, tanh, sigmoid and the tanh form of GELU from −100 to 100, with the same bits everywhere")
  func activations() {
    let arguments = (0..<80_000).map { Float($0 - 40_000) / 400 }
    let functions: [(cb_activation, (Double) -> Double)] = [
      (CB_RELU, { max($0, 0) }), (CB_TANH, tanh), (CB_SIGMOID, { 1 / (1 + exp(-$0)) }),
      (CB_GELU_TANH, { 0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }),
    ]
    for (kind, function) in functions {
      var first: [UInt32]?
      EachKernel.run { kernel in
        var x = arguments
        cb_activate(kind, &x, x.count)
        let worst = zip(arguments, x).map {
          let exact = function(Double($0))
          return abs(Double($1) - exact) / max(1, abs(exact))
        }.max()
        #expect((worst ?? 1) < 5e-7, "\(kind.rawValue) \(kernel)")
        let bits = x.map(\.bitPattern)
        #expect(bits == first ?? bits)
        first = bits
      }
    }
  }

  @Test("softmax of any number of labels adds up to one", arguments: [1, 2, 3, 16, 17])
  func softmax(count: Int) {
    let logits = Self.numbers(count, seed: UInt64(count)).map { $0 * 20 }
    var x = logits + [Float](repeating: .nan, count: (16 - count % 16) % 16)
    cb_softmax(&x, count)
    let total = logits.map { exp(Double($0)) }.reduce(0, +)
    for i in 0..<count { #expect(abs(Double(x[i]) - exp(Double(logits[i])) / total) < 1e-6) }
    #expect(x[count...].allSatisfy { $0 == 0 })
  }

  @Test("GELU is exact to a few units in the last place from −40 to 40")
  func gelu() {
    var x = (0..<80_000).map { Float($0 - 40_000) / 1000 }
    let arguments = x
    cb_gelu(&x, x.count)
    for (argument, value) in zip(arguments, x) {
      let exact = 0.5 * Double(argument) * erfc(-Double(argument) / 2.0.squareRoot())
      #expect(abs(Double(value) - exact) <= 4e-7 * max(1, abs(exact)))
    }
  }

  @Test("layer norm, mean and length one")
  func rows() {
    let width = 48
    var x = Self.numbers(3 * width, seed: 3)
    let before = x
    let (gain, bias) = (Self.numbers(width, seed: 5), Self.numbers(width, seed: 6))
    cb_layernorm(&x, 3, width, gain, bias, 1e-5)
    for row in 0..<3 {
      let sums = (0..<width).map { Double(before[row * width + $0]) }
      let mean = sums.reduce(0, +) / Double(width)
      let variance = sums.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      for i in 0..<width {
        let exact = (sums[i] - mean) / (variance + 1e-5).squareRoot() * Double(gain[i]) + Double(bias[i])
        #expect(abs(exact - Double(x[row * width + i])) < 2e-6)
      }
    }
    var mean = [Float](repeating: 0, count: width)
    cb_mean(x, 3, width, &mean)
    #expect(abs(mean[5] - (x[5] + x[5 + width] + x[5 + 2 * width]) / 3) < 1e-6)
    cb_l2_normalize(&mean, width)
    #expect(abs(mean.reduce(0) { $0 + $1 * $1 } - 1) < 1e-6)
    var most = [Float](repeating: 0, count: width)
    cb_max(before, 3, width, &most)
    #expect((0..<width).allSatisfy { most[$0] == max(before[$0], before[$0 + width], before[$0 + 2 * width]) })
    var zeros = [Float](repeating: 0, count: width)
    cb_l2_normalize(&zeros, width)
    #expect(zeros.allSatisfy { $0 == 0 })
  }

  @Test("infinities and NaNs are seen, and a wipe leaves zeros")
  func finiteAndWipe() {
    var x = Self.numbers(100, seed: 9)
    #expect(cb_all_finite(x, 100))
    for bad in [Float.nan, .infinity, -.infinity] {
      x[77] = bad
      #expect(!cb_all_finite(x, 100))
    }
    cb_wipe(&x, 400)
    #expect(x == [Float](repeating: 0, count: 100))
  }
}
