import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// `make bench-constraint`: how long it takes to say which tokens may come next. Vocabularies are made up: all bytes, the
/// marks of JSON, and words, two in three with a blank before them.
@Suite("Constraint bench")
struct ConstraintBench {
  static let wanted = ProcessInfo.processInfo.environment["EPHEMERALML_BENCH_CONSTRAINT"] != nil

  private static func vocabulary(_ count: Int) -> TokenPrefixes {
    var random = SeededGenerator(seed: 1)
    var tokens = Set(
      (0...255).map { [UInt8($0)] } + ConstraintVocabulary.pieces.map { Array($0.utf8) })
    let syllables = [
      "an", "er", "in", "on", "ti", "re", "st", "en", "al", "ou", "ch", "é", "日", "qu", "s", "a",
      "t", "1", "_", ".",
    ]
    while tokens.count < count {
      var text = Int.random(in: 0..<3, using: &random) > 0 ? " " : ""
      for _ in 0..<Int.random(in: 1...5, using: &random) {
        text += syllables.randomElement(using: &random) ?? ""
      }
      tokens.insert(Array(text.utf8))
    }
    return TokenPrefixes(TokenBytes(tokens.sorted { $0.lexicographicallyPrecedes($1) }))
  }

  @Test(
    "masks", .enabled(if: wanted, "make bench-constraint runs it"), arguments: [32_000, 128_000])
  func masks(count: Int) throws {
    let clock = ContinuousClock()
    var prefixes: TokenPrefixes?
    let sorting = clock.measure { prefixes = Self.vocabulary(count) }
    let vocabulary = try #require(prefixes)
    let text =
      #"{"type":"object","properties":{"title":{"type":"string"},"short":{"type":"string","maxLength":200},"#
      + #""score":{"type":"number","minimum":0,"maximum":1},"kind":{"enum":["report","letter","note"]}},"#
      + #""required":["title","short","score","kind"]}"#
    let schema = try JSONValue(
      parsing: Array(text.utf8), limits: JSONLimits(bytes: 1 << 16, values: 1000))
    print("\(count) tokens, \(vocabulary.bytes.count) nodes; made and sorted in \(sorting)")
    for (place, prefix) in [
      ("before anything", ""), ("in a text", "{\"title\":\"ab"),
      ("in a text of 200", "{\"title\":\"\",\"short\":\"ab"),
      ("in a number", "{\"title\":\"\",\"short\":\"\",\"score\":0."),
      ("at a name", "{\"title\":\"\","),
      ("in an enum", "{\"title\":\"\",\"short\":\"\",\"score\":1,\"kind\":\""),
    ] {
      var (first, later): ([Duration], [Duration]) = ([], [])
      for _ in 0..<15 {
        let source = try JSONConstraintSource(schema: schema, prefixes: vocabulary)
        for isFirst in [true, false] {
          var constraint = source.constraint()
          for byte in prefix.utf8 { constraint.advance(try #require(vocabulary.token(of: byte))) }
          var mask = TokenMask(count: vocabulary.count)
          let time = clock.measure { constraint.allowed(into: &mask) }
          if isFirst { first.append(time) } else { later.append(time) }
        }
      }
      print("  \(place): first \(first.sorted()[7]), later \(later.sorted()[7])")
    }
  }
}

extension TokenPrefixes {
  /// The token of one byte.
  fileprivate func token(of byte: UInt8) -> Int32? {
    var node = 0
    while node < bytes.count {
      if bytes[node] == byte { return ids[Int(idStarts[node])] }
      node = Int(next[node])
    }
    return nil
  }
}
