import TestSupport
import Testing

@testable import Inference

/// tokenizer.json of the kinds beyond BERT's may come from anybody, and so may every text.
@Suite("Hostile tokenizers are refused, and no text is slow")
struct HostileTokenizerTests {
  private static func reason(_ json: String) -> String {
    do {
      _ = try TokenTexts.tokenizer(Array(json.utf8))
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  private static func unigram(normalizer: String = "null", model: String = #""unk_id":0,"vocab":[["?",0],["a",-1]]"#)
    -> String
  { #"{"normalizer":\#(normalizer),"model":{"type":"Unigram",\#(model)}}"# }

  private static func pairs(_ model: String, pre: String = #"{"type":"ByteLevel"}"#) -> String {
    #"{"pre_tokenizer":\#(pre),"model":{"type":"BPE",\#(model)}}"#
  }

  @Test(
    "what is not computed, and what is malformed, by its member's name",
    arguments: [
      (unigram(), "accepted"), (pairs(#""vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]"#), "accepted"),
      (unigram(model: #""unk_id":2,"vocab":[["?",0],["a",-1]]"#), "`model.unk_id` must be"),
      (unigram(model: #""unk_id":null,"vocab":[["?",0]]"#), "`model.unk_id` is missing"),
      (unigram(model: #""unk_id":0,"vocab":[["?",1e999]]"#), "`model.vocab` must hold pairs"),
      (unigram(model: #""unk_id":0,"vocab":[["?",0,1]]"#), "`model.vocab` must hold pairs"),
      (unigram(model: #""unk_id":0,"vocab":[["?",0],["?",0]]"#), "stands twice"),
      (unigram(model: #""unk_id":0,"vocab":[["?",0]],"byte_fallback":true"#), "`model.byte_fallback` is true"),
      (unigram(normalizer: #"{"type":"NFKC"}"#), "`normalizer.type` is `NFKC`"),
      (unigram(normalizer: #"{"type":"Precompiled","precompiled_charsmap":"?"}"#), "is no base64"),
      (unigram(normalizer: #"{"type":"Precompiled","precompiled_charsmap":"AAA="}"#), "ends before its trie"),
      (unigram(normalizer: #"{"type":"Precompiled","precompiled_charsmap":"/////wAAAAA="}"#), "does not fit"),
      (unigram(normalizer: #"{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAAD/"}"#), "are not UTF-8"),
      (
        unigram(normalizer: #"{"type":"Replace","pattern":{"Regex":"(a|b)+"},"content":""}"#),
        "`normalizer.pattern.Regex`"
      ),
      (
        unigram(
          normalizer:
            #"{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaa"},"#
            + #"{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaa"}]}"#), "128 times as long"
      ),
      (pairs(#""vocab":{"a":0,"b":1},"merges":["a b"]"#), "`model.merges` must hold pairs"),
      (pairs(#""vocab":{"a":0,"b":1,"ab":2},"merges":["a b c"]"#), "`model.merges` must hold pairs"),
      (pairs(#""vocab":{"a":0},"merges":[],"dropout":0.1"#), "`model.dropout`"),
      (pairs(#""vocab":{"a":0},"merges":[],"end_of_word_suffix":"</w>""#), "`model.end_of_word_suffix`"),
      (
        pairs(#""vocab":{"a":0},"merges":[]"#, pre: #"{"type":"Punctuation"}"#), "`pre_tokenizer.type` is `Punctuation`"
      ),
      (
        pairs(
          #""vocab":{"a":0},"merges":[]"#,
          pre: #"{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Metaspace"}]}"#), "behind ByteLevel"
      ),
    ])
  func refusals(json: String, expected: String) {
    let reason = Self.reason(json)
    #expect(reason.contains(expected), "\(reason)")
  }

  @Test(
    "words of 200,000 letters are joined and parted without quadratic time",
    arguments: ["bytepair", "unigram", "llama2", "llama3"])
  func longWords(name: String) throws {
    let tokenizer = try TokenTexts.tokenizer(try TokenTexts.file("\(name).json"))
    for piece in ["a", "ab", "é", "the", "\u{301}"] {
      let text = String(repeating: piece, count: name.hasPrefix("llama") ? 50_000 : 200_000)
      let tokens = tokenizer.tokenize(text)
      #expect(!tokens.truncated && tokens.ids.count > 1 && tokens.ids.count <= text.utf8.count + 3)
    }
  }

  @Test(
    "any byte of a file may be wrong: random changes, no crash", arguments: ["bytepair", "unigram", "llama2", "llama3"])
  func mutations(name: String) throws {
    let fine = try TokenTexts.file("\(name).json")
    var random = SeededGenerator(seed: 5)
    for _ in 0..<40 {
      var json = fine
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let signs = Array("0123456789\"[]{}:,-.etnAz+/".utf8)
        json[Int.random(in: json.indices, using: &random)] = signs[Int.random(in: signs.indices, using: &random)]
      }
      if let tokenizer = try? TokenTexts.tokenizer(json, maximumTokens: 64, decodes: name.hasPrefix("llama")) {
        for text in TokenTexts.all.prefix(20) {
          let ids = tokenizer.tokenize(text).ids
          #expect(ids.count <= 64)
          _ = tokenizer.decoder?.text(of: ids)
        }
      }
    }
  }
}
