import Testing

@testable import Inference

/// The tokenizers that GGUF files carry, against llama.cpp (scripts/golden/gguf_tokens.py).
@Suite("GGUF files' tokenizers give the ids of llama.cpp")
struct GGUFTokenizerTests {
  /// 2,000 texts, some with a special token inside.
  static func texts(_ name: String) -> [String] {
    let special = name == "llama2" ? "</s>" : "<|eot_id|>"
    return TokenTexts.all.prefix(2000).map {
      // Not by characters: a mark may stand behind.
      String(decoding: Array($0.utf8).replacing(Array("<l>".utf8), with: Array(special.utf8)), as: UTF8.self)
    }
  }

  /// The file with another name of how words are parted.
  private static func file(_ name: String, pre: String) throws -> [UInt8] {
    var bytes = try TokenTexts.file("\(name).gguf")
    guard name != "llama2" else { return bytes }
    func string(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + [UInt8](repeating: 0, count: 7) + text.utf8 }
    let old = try #require(bytes.firstRange(of: string("llama-bpe")))
    bytes.replaceSubrange(old, with: string(pre))
    return bytes
  }

  @Test(
    "2,000 texts by each way to part words; Qwen's as llama.cpp reads their normal form C",
    arguments: ["llama2", "llama-bpe", "qwen2", "smollm", "gpt-2"])
  func ids(pre: String) throws {
    let name = pre == "llama2" ? pre : "llama3"
    let bytes = try Self.file(name, pre: pre)
    let header = try bytes.withUnsafeBytes { try GGUFHeader(parsing: $0, fileSize: bytes.count, file: "m.gguf") }
    let tokenizer = try Tokenizer(header, maximumTokens: 1 << 20)
    let ours = TokenTexts.digests(of: Self.texts(name).map { tokenizer.tokenize($0) })
    let theirs = try #require(TokenTexts.digests(in: "llamacpp-digests.txt")[pre])
    #expect(ours.count == theirs.count && ours.indices.filter { ours[$0] != theirs[$0] } == [])
  }
}
