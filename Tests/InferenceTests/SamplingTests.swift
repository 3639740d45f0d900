import Glibc
import TestSupport
import Testing

@testable import Inference

@Suite("Sampling follows its settings")
struct SamplingTests {
  private static func choose(
    _ logits: [Float], _ settings: SamplingSettings, _ random: Double, allowed: TokenMask? = nil
  ) -> Int32? {
    logits.withUnsafeBufferPointer { Sampler(settings: settings).choose($0, allowed: allowed, random: random) }
  }

  /// Every token that some random number gives, with its share of a fine grid of them.
  private static func shares(_ logits: [Float], _ settings: SamplingSettings, allowed: TokenMask? = nil) -> [Int32:
    Double]
  {
    var shares: [Int32: Double] = [:]
    for step in 0..<20_000 {
      let random = (Double(step) + 0.5) / 20_000
      if let id = choose(logits, settings, random, allowed: allowed) { shares[id, default: 0] += 1.0 / 20_000 }
    }
    return shares
  }

  @Test("Philox gives the numbers of its authors' known answers")
  func philox() {
    let all = UInt32.max
    let answers: [(Philox.Block, (UInt32, UInt32), Philox.Block)] = [
      ((0, 0, 0, 0), (0, 0), (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)),
      ((all, all, all, all), (all, all), (0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)),
      (
        (0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), (0xa409_3822, 0x299f_31d0),
        (0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
      ),
    ]
    for (counter, key, answer) in answers { #expect(Philox.block(counter: counter, key: key) == answer) }
  }

  @Test("draws differ by seed, item and step, and are even")
  func draws() {
    let draws = (0..<4000).map { Philox.uniform(seed: 7, item: "a", step: UInt32($0)) }
    #expect(Set(draws).count == draws.count && draws.allSatisfy { (0..<1).contains($0) })
    #expect(abs(draws.reduce(0, +) / 4000 - 0.5) < 0.02)
    #expect(Philox.uniform(seed: 7, item: "b", step: 0) != draws[0])
    #expect(Philox.uniform(seed: 8, item: "a", step: 0) != draws[0])
    #expect(Philox.uniform(seed: 7 | 1 << 40, item: "a", step: 0) != draws[0])
  }

  @Test("temperature alone gives softmax's shares")
  func temperature() {
    let logits: [Float] = [1, 3, -2, 2.5]
    for temperature in [0.5, 1, 2] {
      let weights = logits.map { exp(Double($0) / temperature) }
      let total = weights.reduce(0, +)
      let shares = Self.shares(logits, SamplingSettings(temperature: temperature, maximumTokens: 1))
      for id in 0..<4 { #expect(abs(shares[Int32(id), default: 0] - weights[id] / total) < 2e-4) }
    }
    let coldest = Self.shares(logits, SamplingSettings(temperature: 0, maximumTokens: 1))
    #expect(coldest.keys.sorted() == [1])
  }

  @Test("top_k, top_p and min_p leave the tokens that they say, alone and together")
  func cuts() {
    // Probabilities 0.4, 0.3, 0.2, 0.06, 0.04 in another order.
    let order = [3, 1, 4, 0, 2]
    let probabilities = [0.06, 0.3, 0.04, 0.4, 0.2]
    let logits = probabilities.map { Float(log($0)) }
    func kept(_ k: Int, _ p: Double, _ m: Double, allowed: TokenMask? = nil) -> Set<Int32> {
      Set(Self.shares(logits, SamplingSettings(topK: k, topP: p, minP: m, maximumTokens: 1), allowed: allowed).keys)
    }
    func first(_ count: Int) -> Set<Int32> { Set([3, 1, 4, 0, 2].prefix(count)) }
    #expect(order.count == 5)
    for k in 1...5 { #expect(kept(k, 1, 0) == first(k)) }
    #expect(kept(9, 1, 0) == first(5))
    #expect(kept(0, 0.39, 0) == first(1) && kept(0, 0.41, 0) == first(2) && kept(0, 0.69, 0) == first(2))
    #expect(kept(0, 0.89, 0) == first(3) && kept(0, 0.97, 0) == first(5))
    #expect(kept(0, 1, 0.76) == first(1) && kept(0, 1, 0.74) == first(2) && kept(0, 1, 0.14) == first(4))
    // Of two tokens alone the first has 4/7.
    #expect(kept(2, 0.57, 0) == first(1) && kept(2, 0.58, 0) == first(2))
    #expect(kept(3, 0.9, 0.6) == first(2))
    var mask = TokenMask(count: 5)
    for id in [0, 2, 4] as [Int32] { mask.insert(id) }
    #expect(kept(0, 1, 0, allowed: mask) == [0, 2, 4] && kept(1, 1, 0, allowed: mask) == [4])
    #expect(Self.choose(logits, SamplingSettings(maximumTokens: 1), 0.5, allowed: TokenMask(count: 5)) == nil)
  }

  @Test("a large vocabulary gives what sorting all of it gives")
  func large() {
    var random = SeededGenerator(seed: 3)
    let logits = (0..<30_000).map { _ in Float.random(in: -20...2, using: &random) }
    let sorted = logits.indices.sorted { logits[$0] > logits[$1] }
    for (settings, count) in [
      (SamplingSettings(topK: 5000, maximumTokens: 1), 5000), (.init(topP: 0.99, maximumTokens: 1), nil),
      (.init(topP: 0.9999999, maximumTokens: 1), nil),
    ] {
      let weights = sorted.map { exp(Double(logits[$0]) - 2) }
      var kept = count ?? 0
      var sum = weights.prefix(kept).reduce(0, +)
      let total = weights.reduce(0, +)
      while count == nil, sum < settings.topP * total {
        sum += weights[kept]
        kept += 1
      }
      for step in 0..<50 {
        let draw = (Double(step) + 0.5) / 50
        var (left, expected) = (draw * sum, 0)
        while expected < kept - 1, left >= weights[expected] {
          left -= weights[expected]
          expected += 1
        }
        #expect(Self.choose(logits, settings, draw) == Int32(sorted[expected]))
      }
    }
  }

  @Test("settings out of range are named")
  func faults() {
    let good = SamplingSettings(maximumTokens: 1)
    #expect(good.fault == nil)
    let bad: [(WritableKeyPath<SamplingSettings, Double>, Double, String)] = [
      (\.temperature, -0.1, "temperature"), (\.temperature, .nan, "temperature"), (\.topP, 0, "top_p"),
      (\.topP, 1.1, "top_p"), (\.minP, -1, "min_p"), (\.minP, .nan, "min_p"),
    ]
    for (path, value, name) in bad {
      var settings = good
      settings[keyPath: path] = value
      #expect(settings.fault?.hasPrefix(name) == true)
    }
    #expect(SamplingSettings(maximumTokens: 0).fault?.hasPrefix("max_tokens") == true)
    #expect(SamplingSettings(topK: -1, maximumTokens: 1).fault?.hasPrefix("top_k") == true)
    #expect(SamplingSettings(maximumTokens: 1, stops: [""]).fault?.hasPrefix("stop") == true)
  }

  @Test("functions are those of mathematics, to a few units in the last place")
  func functions() {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<20_000 {
      let x = Double.random(in: -690...690, using: &random)
      #expect(abs(ExactMath.exp(x) / exp(x) - 1) < 1e-15)
      let y = exp(x)
      #expect(abs(ExactMath.log(y) - log(y)) <= 1e-15 * max(1, abs(x)))
      let angle = Double.random(in: -200_000...200_000, using: &random)
      let (sine, cosine) = ExactMath.sineAndCosine(angle)
      #expect(abs(sine - sin(angle)) < 4e-16 && abs(cosine - cos(angle)) < 4e-16)
    }
    #expect(ExactMath.exp(0) == 1 && ExactMath.exp(-1e9) == 0 && ExactMath.log(1) == 0)
  }

  @Test("a text ends before its first stop, wherever tokens part it; characters are given whole")
  func assembly() {
    let text = "grün — so früh? END of it"
    for stops in [[], ["END"], ["früh", " E"], ["— so f"], ["zzz"]] {
      let expected = stops.compactMap { stop in text.firstRange(of: stop).map { String(text[..<$0.lowerBound]) } }
        .min { $0.utf8.count < $1.utf8.count }
      for size in 1...5 {
        var assembler = TextAssembler(stops: stops)
        var (parts, bytes) = ("", Array(text.utf8)[...])
        while !bytes.isEmpty {
          assembler.append(bytes.prefix(size))
          bytes = bytes.dropFirst(size)
          let part = assembler.nextPart()
          #expect(!part.contains("\u{fffd}"))
          parts += part
        }
        #expect(assembler.text == expected ?? text && assembler.isStopped == (expected != nil))
        #expect((expected ?? text).hasPrefix(parts))
        if expected != nil || stops.isEmpty { #expect(parts == expected ?? text) }
      }
    }
    var broken = TextAssembler()
    broken.append([0x61, 0xe2, 0x82])
    #expect(broken.nextPart() == "a" && broken.text == "a\u{fffd}")
  }
}
