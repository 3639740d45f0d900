import TestSupport
import Testing

@testable import Inference

/// Ids and texts against Hugging Face's `tokenizers`, of tokenizers as decoders have them.
@Suite("Decoders' tokenizers give the ids and the texts of Hugging Face's")
struct DecoderTokenizerTests {
  private static let split =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"#

  /// The file of a run: scripts/golden/decoder_tokens.py changes it in the same way.
  private static func json(_ name: String) throws -> String {
    var text = String(
      decoding: try TokenTexts.file(name.hasPrefix("llama2") ? "llama2.json" : "llama3.json"), as: UTF8.self)
    func replace(_ old: String, _ new: String) {
      #expect(text.contains(old), "\(name): \(old)")
      text = text.replacing(old, with: new)
    }
    switch name {
    case "llama2-metaspace":
      replace(
        #""normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, "#
          + #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "pre_tokenizer": null"#,
        #""pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}"#)
    case "qwen2":
      replace(#"\\p{N}{1,3}"#, #"\\p{N}"#)
      replace(#""normalizer": null"#, #""normalizer":{"type":"NFC"}"#)
    case "smollm":
      replace(
        #"{"type": "Split", "pattern": {"Regex": "\#(split)"}, "behavior": "Isolated", "invert": false}"#,
        #"{"type":"Digits","individual_digits":true}"#)
      replace(#""use_regex": false"#, #""use_regex":true"#)
      replace(#""ignore_merges": true"#, #""ignore_merges":false"#)
    default: break
    }
    return text
  }

  private static func tokenizer(_ json: String) throws -> Tokenizer {
    try Tokenizer(files: ModelFiles(["tokenizer.json": Array(json.utf8)]), maximumTokens: 1 << 20, decodes: true)
  }

  private static let digests = TokenTexts.digests(in: "decoder-digests.txt")

  @Test("6,000 texts, whole, and back again", arguments: ["llama2", "llama2-metaspace", "llama3", "qwen2", "smollm"])
  func ids(name: String) throws {
    let tokenizer = try Self.tokenizer(try Self.json(name))
    let expected = try #require(Self.digests[name])
    let inputs = TokenTexts.all.prefix(expected.count * TokenTexts.block).map { tokenizer.tokenize($0) }
    #expect(inputs.count == (["llama2", "llama3", "qwen2"].contains(name) ? 6000 : 2000))
    let ours = TokenTexts.digests(of: inputs)
    #expect(expected.indices.filter { ours[$0] != expected[$0] } == [])

    let decoder = try #require(tokenizer.decoder)
    let texts = TokenTexts.digests(ofTexts: inputs.map { decoder.text(of: $0.ids) })
    let others = try #require(Self.digests["\(name)-decoded"])
    #expect(others.indices.filter { texts[$0] != others[$0] } == [])
  }

  @Test("an untrimmed text is what its tokens' bytes are together")
  func bytes() throws {
    for name in ["llama2", "llama3"] {
      let tokenizer = try Self.tokenizer(try Self.json(name))
      let decoder = try #require(tokenizer.decoder)
      for text in ["a plain text of it", "grün — 👩‍👩‍👧‍👦 中文\n\n  x", "ﾃ\u{1F}\u{0}"] {
        let ids = tokenizer.ids(of: text, addsSpecial: false)
        let bytes = ids.flatMap { Array(decoder.bytes[$0]) }
        #expect(bytes == (decoder.dropsFirstBlank ? [0x20] : []) + Array(text.utf8))
        #expect(decoder.text(of: ids) == text)
        let special = tokenizer.ids(of: text, addsSpecial: true)
        #expect(
          special.count == ids.count + 1 && special.dropFirst() == ids[...] && decoder.bytes.isControl(special[0]))
      }
    }
  }

  @Test("what is not computed is refused by its name")
  func refusals() throws {
    let (first, second) = (try Self.json("llama2"), try Self.json("llama3"))
    for (text, old, new, name) in [
      (second, #"\\p{N}{1,3}"#, #"\\p{N}{1,4}"#, "Regex"), (second, #""Isolated""#, #""Removed""#, "behavior"),
      (second, #""invert": false"#, #""invert":true"#, "invert"),
      (second, #""decoder": {"type": "ByteLevel""#, #""decoder": {"type": "CTC""#, "type"),
      (second, #""decoder": {"type": "ByteLevel""#, #""decoder": {"type": "Fuse""#, "decoder"),
      (first, #""<0x41>""#, #""<0x4g>""#, "byte_fallback"), (first, #""start": 1"#, #""start": 2"#, "start"),
    ] {
      #expect(text.contains(old), "\(old)")
      let error = #expect(throws: ModelError.self) { try Self.tokenizer(text.replacing(old, with: new)) }
      #expect(error?.description.contains(name) == true, "\(error?.description ?? "")")
    }
  }
}
