import TestSupport
import Testing

@testable import Inference

/// Ids against Hugging Face's `tokenizers`, on texts of many scripts and on random scalars.
@Suite("Tokenizers give the ids of Hugging Face's")
struct TokenizerTests {
  @Test("20,000 texts, whole", arguments: ["wordpiece", "bytepair", "unigram"])
  func whole(name: String) throws {
    let tokenizer = try TokenTexts.tokenizer(try TokenTexts.file("\(name).json"))
    #expect(TokenTexts.wrongBlocks(TokenTexts.all.map { tokenizer.tokenize($0) }, name) == [])
  }

  @Test("2,000 pairs, cut at either side", arguments: ["wordpiece", "bytepair", "unigram"], ["right", "left"])
  func pairs(name: String, side: String) throws {
    let tokenizer = try TokenTexts.tokenizer(try TokenTexts.file("\(name).json"), maximumTokens: 24, side: side)
    let texts = TokenTexts.all.prefix(2000)
    let inputs = zip(texts, texts.dropFirst() + texts.prefix(1)).map { tokenizer.tokenize($0, $1) }
    #expect(TokenTexts.wrongBlocks(inputs, "\(name)-pairs-\(side)") == [])
    #expect(inputs.contains { $0.truncated } && inputs.allSatisfy { $0.ids.count <= 24 })
  }

  @Test("every switch of BertNormalizer")
  func switches() throws {
    let plain = String(decoding: try TokenTexts.file("wordpiece.json"), as: UTF8.self)
    let said = #""clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true"#
    #expect(plain.contains(said))
    for clean in ["true", "false"] {
      for chinese in ["true", "false"] {
        for strip in ["null", "true", "false"] {
          for lower in ["true", "false"] {
            let json = plain.replacing(
              said,
              with: #""clean_text":\#(clean),"handle_chinese_chars":\#(chinese),"strip_accents":\#(strip),"#
                + #""lowercase":\#(lower)"#)
            let tokenizer = try TokenTexts.tokenizer(Array(json.utf8))
            let inputs = TokenTexts.all.prefix(2000).map { tokenizer.tokenize($0) }
            let name = "wordpiece-\(clean)-\(chinese)-\(strip)-\(lower)"
            #expect(TokenTexts.wrongBlocks(inputs, name) == [], "\(name)")
          }
        }
      }
    }
  }

  @Test("byte-level words that begin with a blank of their own")
  func prefixSpace() throws {
    let plain = String(decoding: try TokenTexts.file("bytepair.json"), as: UTF8.self)
    let json = plain.replacing(#""add_prefix_space": false"#, with: #""add_prefix_space": true"#)
    let tokenizer = try TokenTexts.tokenizer(Array(json.utf8))
    let inputs = TokenTexts.all.prefix(2000).map { tokenizer.tokenize($0) }
    #expect(TokenTexts.wrongBlocks(inputs, "bytepair-spaced") == [])
  }

  @Test("a text that is cut gives the ids that it has whole, from the side that is kept")
  func truncation() throws {
    for name in ["wordpiece", "bytepair", "unigram"] {
      let json = try TokenTexts.file("\(name).json")
      let whole = try TokenTexts.tokenizer(json)
      let (right, left) = (
        try TokenTexts.tokenizer(json, maximumTokens: 10),
        try TokenTexts.tokenizer(json, maximumTokens: 10, side: "left")
      )
      for text in TokenTexts.all.prefix(500) {
        let ids = whole.tokenize(text).ids
        let inner = ids.dropFirst().dropLast()
        let isLong = ids.count > 10
        #expect(right.tokenize(text).ids == ids.prefix(1) + inner.prefix(8) + ids.suffix(1))
        #expect(left.tokenize(text).ids == ids.prefix(1) + inner.suffix(8) + ids.suffix(1))
        #expect(right.tokenize(text).truncated == isLong && left.tokenize(text).truncated == isLong)
      }
    }
  }
}
