import CBlas
import TestSupport
import Testing

@Suite("Attention in bytes")
struct Int8AttentionTests {
  private static let heads = 2

  /// bfloat16 of queries, keys and values: (tokens, 3 · heads · width).
  private static func input(tokens: Int, width: Int, size: Float = 3, seed: UInt64 = 6) -> [UInt16] {
    var random = SeededGenerator(seed: seed)
    return rounded((0..<tokens * 3 * heads * width).map { _ in Float.random(in: -size...size, using: &random) })
  }

  private static func rounded(_ x: [Float]) -> [UInt16] {
    var halves = [UInt16](repeating: 0, count: x.count)
    cb_bf16_round(x, x.count, &halves)
    return halves
  }

  private static func float(_ half: UInt16) -> Float { Float(bitPattern: UInt32(half) << 16) }

  private static func attention(
    _ qkv: [UInt16], tokens: Int, width: Int, scale: Float = 0.2, bias: [Float]? = nil, heads part: Range<Int>? = nil
  ) -> [Float] {
    let part = part ?? 0..<heads
    var scratch = [Float](repeating: .nan, count: cb_attention_scratch(tokens, width))
    var out = [UInt16](repeating: 0, count: tokens * heads * width)
    let whole = cb_attention_part(
      tokens: tokens, heads: heads, head_width: width, first_head: part.lowerBound, end_head: part.upperBound)
    (bias ?? []).withUnsafeBufferPointer { values in
      var table = cb_distance_bias(values: values.baseAddress, limit: tokens)
      withUnsafePointer(to: &table) {
        cb_int8_attention(qkv, whole, scale, bias == nil ? nil : $0, &scratch, &out)
      }
    }
    return out.map(float)
  }

  private static func exact(
    _ qkv: [UInt16], tokens: Int, width: Int, scale: Float = 0.2, bias: [Float]? = nil
  ) -> [Float] {
    var scratch = [Float](repeating: 0, count: cb_attention_scratch(tokens, width))
    var out = [Float](repeating: 0, count: tokens * heads * width)
    let whole = cb_attention_part(
      tokens: tokens, heads: heads, head_width: width, first_head: 0, end_head: heads)
    (bias ?? []).withUnsafeBufferPointer { values in
      var table = cb_distance_bias(values: values.baseAddress, limit: tokens)
      withUnsafePointer(to: &table) {
        cb_attention(qkv.map(float), whole, scale, bias == nil ? nil : $0, &scratch, &out)
      }
    }
    return out
  }

  @Test(
    "near the exact one, with the same bits everywhere, and by one head at a time",
    arguments: [1, 2, 15, 16, 17, 33, 70, 129], [16, 32, 48, 64])
  func accuracy(tokens: Int, width: Int) {
    let qkv = Self.input(tokens: tokens, width: width, size: 1.5)
    var random = SeededGenerator(seed: 5)
    let values = (0..<Self.heads * (2 * tokens - 1)).map { _ in Float.random(in: -1...1, using: &random) }
    for bias in [nil, values] {
      let exact = Self.exact(qkv, tokens: tokens, width: width, bias: bias)
      var first: [Float] = []
      EachKernel.run { name in
        let out = Self.attention(qkv, tokens: tokens, width: width, bias: bias)
        if first.isEmpty { first = out }
        #expect(out == first, "\(name)")
      }
      #expect(zip(first, exact).allSatisfy { abs($0 - $1) < 0.1 })
      let error = zip(first, exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      #expect(error < 2e-3 * exact.reduce(0) { $0 + $1 * $1 })
      let heads = (0..<Self.heads).map {
        Self.attention(qkv, tokens: tokens, width: width, bias: bias, heads: $0..<$0 + 1)
      }
      #expect(first.indices.allSatisfy { first[$0] == heads[$0 / width % Self.heads][$0] })
    }
  }

  @Test("a token that all look at, with small values, takes nothing from the weights of the others")
  func sink() {
    let (tokens, width) = (200, 32)
    let row = 3 * Self.heads * width
    var qkv = Self.input(tokens: tokens, width: width, size: 0.5)
    for head in 0..<Self.heads {
      for column in 0..<width {
        let place = head * width + column
        // Queries have one large number, and the first key meets it: 98 % of every weight. The values have a common part.
        for token in 0..<tokens {
          if column == 0 { qkv[token * row + place] = Self.rounded([Float](repeating: 8, count: 16))[0] }
          let value = Self.float(qkv[token * row + 2 * Self.heads * width + place])
          qkv[token * row + 2 * Self.heads * width + place] =
            Self.rounded([Float](repeating: token == 0 ? value / 100 : value + 1, count: 16))[0]
        }
        if column == 0 { qkv[Self.heads * width + place] = Self.rounded([Float](repeating: 6, count: 16))[0] }
      }
    }
    let exact = Self.exact(qkv, tokens: tokens, width: width)
    let out = Self.attention(qkv, tokens: tokens, width: width)
    let error = zip(out, exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    #expect(error < 4e-3 * exact.reduce(0) { $0 + $1 * $1 })
  }

  @Test("scores far apart, all-zero rows and values, and numbers near the ends of bfloat16's range")
  func extremes() {
    let (tokens, width) = (40, 32)
    let row = 3 * Self.heads * width
    for scale in [Float(1e-4), 1, 50, 1000] {
      let qkv = Self.input(tokens: tokens, width: width, size: 10)
      let out = Self.attention(qkv, tokens: tokens, width: width, scale: scale)
      #expect(out.allSatisfy { abs($0) < 10.2 }, "\(scale)")
    }
    let zeros = [UInt16](repeating: 0, count: tokens * row)
    #expect(Self.attention(zeros, tokens: tokens, width: width).allSatisfy { $0 == 0 })
    // Alike keys: the mean of the values, however large or small they are.
    for size in [Float(1e-37), 1e-20, 1e20, 1e37] {
      var qkv = zeros
      for token in 0..<tokens {
        for place in 2 * Self.heads * width..<row { qkv[token * row + place] = UInt16(size.bitPattern >> 16) }
      }
      let (value, outs) = (Self.float(UInt16(size.bitPattern >> 16)), Self.attention(qkv, tokens: tokens, width: width))
      let small = size < 1e-30
      #expect(outs.allSatisfy { abs($0 - value) <= value * 0.02 || small && $0 == 0 }, "\(size)")
    }
  }

  @Test("what is not finite is not hidden, in queries, keys and values", arguments: [Float.infinity, -.infinity, .nan])
  func notFinite(value: Float) {
    let (tokens, width) = (20, 32)
    let row = 3 * Self.heads * width
    for part in 0..<3 {
      var qkv = Self.input(tokens: tokens, width: width)
      qkv[7 * row + part * Self.heads * width + 3] = UInt16(value.bitPattern >> 16)
      EachKernel.run { name in
        let out = Self.attention(qkv, tokens: tokens, width: width)
        for token in 0..<tokens {
          for place in 0..<Self.heads * width {
            #expect(
              out[token * Self.heads * width + place].isFinite != (place < width), "\(name) \(part) \(token) \(place)")
          }
        }
      }
    }
  }
}
