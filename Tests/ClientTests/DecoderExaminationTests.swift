import Client
import Foundation
import Inference
import SealedCrypto
import TestSupport
import Testing

/// What `ephemeral models verify` finds out of a model that continues texts.
struct DecoderExaminationTests {
  private final class Folder {
    let path = FileManager.default.temporaryDirectory.appending(path: "decoder-\(UInt64.random(in: 0 ... .max))").path

    init(_ decoder: TinyDecoder? = TinyDecoder()) throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try decoder?.write(to: path)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: "\(path)/\(name)")) }

    func add(_ vector: String, as name: String) throws {
      try write(name, Array(try Data(contentsOf: Checkout.root.appending(path: "Tests/Vectors/decoders/\(vector)"))))
    }

    /// Why the folder is refused.
    func refusal(readsWeights: Bool = false) throws -> String {
      let error = #expect(throws: ClientError.self) {
        guard try DecoderExamination(folder: path, readsWeights: readsWeights) == nil else { return }
        _ = try ModelExamination(folder: path, readsWeights: readsWeights)
      }
      #expect(error?.kind == .invalid)
      return error?.reason ?? ""
    }
  }

  @Test("a folder of safetensors files is described, computed in both precisions, and its memory told")
  func safetensors() throws {
    let folder = try Folder()
    try folder.write("readme.txt", [1])
    let examined = try #require(try DecoderExamination(folder: folder.path, readsWeights: true))
    let model = examined.description
    #expect(model.operations == ["generate"] && model.dimensions == 0 && model.architecture == "llama")
    #expect(model.format == "safetensors" && model.elementTypes == ["BF16"] && model.layers == 1)
    #expect(model.maximumTokens == TinyDecoder.contextLength && model.parameters > 20_000)
    #expect(
      model.parts.map(\.name) == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
    #expect(model.parts.filter { $0.role == .weights }.map(\.name) == ["model.safetensors"])
    #expect(examined.conversations.files != nil && examined.runs.map(\.precision) == [.fp32, .bf16])
    #expect(examined.runs[0].look == .reference)
    guard case .cosine(let cosine, .fp32) = examined.runs[1].look else { return #expect(Bool(false)) }
    #expect(cosine > 0.99)
    #expect(examined.runs[0].footprint.weightBytes > examined.runs[1].footprint.weightBytes)
    let headers = try DecoderExamination(folder: folder.path, readsWeights: false)
    #expect(headers?.runs.allSatisfy { $0.look == .none } == true)
  }

  @Test(
    "generation_config.json and chat_template.jinja belong to it; a template that cannot be read costs conversations")
  func templates() throws {
    let folder = try Folder(TinyDecoder(template: nil))
    let bare = try #require(try DecoderExamination(folder: folder.path, readsWeights: false))
    #expect(bare.conversations.files == nil && bare.conversations.refusal == nil)
    try folder.write("generation_config.json", Array(#"{"eos_token_id":[271,272]}"#.utf8))
    try folder.write("chat_template.jinja", Array("{% include 'x' %}".utf8))
    let examined = try #require(try DecoderExamination(folder: folder.path, readsWeights: true))
    #expect(examined.description.parts.map(\.name).contains("chat_template.jinja"))
    #expect(examined.config.endTokens == [271, 272])
    #expect(examined.conversations.files == nil)
    #expect(examined.conversations.refusal?.description.contains("chat_template.jinja") == true)
  }

  @Test("a folder with one GGUF file is a model in its own numbers")
  func gguf() throws {
    let folder = try Folder(nil)
    try folder.add("llama-q8_0/model.gguf", as: "tiny-Q8_0.gguf")
    let examined = try #require(try DecoderExamination(folder: folder.path, readsWeights: true))
    #expect(examined.description.format == "gguf" && examined.description.elementTypes == ["F32", "Q8_0"])
    #expect(examined.description.parts.map(\.name) == ["tiny-Q8_0.gguf"])
    #expect(examined.runs.map(\.precision) == [.bf16] && examined.runs[0].look == .reference)
    try folder.add("llama3/model.gguf", as: "other.gguf")
    #expect(try folder.refusal().contains("2 GGUF files"))
  }

  @Test("what is no decoder, or a part of one, is refused with the file and the reason")
  func refusals() throws {
    for (name, text, reason) in [
      ("config.json", #"{"model_type":"mamba"}"#, "model_type"),
      ("config.json", #"{"model_type":"llama"}"#, "is missing"),
      ("tokenizer.json", "{}", "tokenizer.json"), ("model.safetensors", "short", "cannot be read to its end"),
    ] {
      let folder = try Folder()
      try folder.write(name, Array(text.utf8))
      #expect(try folder.refusal().contains(reason), "\(name) \(text)")
    }
    let folder = try Folder()
    try FileManager.default.removeItem(atPath: folder.path + "/tokenizer.json")
    #expect(try folder.refusal().contains("tokenizer.json: is missing"))
    // Sharded, and one of the shards is not there.
    let shards = try Folder()
    try FileManager.default.removeItem(atPath: shards.path + "/model.safetensors")
    try shards.write(
      "model.safetensors.index.json",
      Array(#"{"weight_map":{"model.norm.weight":"model-00001-of-00002.safetensors"}}"#.utf8))
    #expect(try shards.refusal().contains("model-00001-of-00002.safetensors"))
    // Of a GGUF file.
    let broken = try Folder(nil)
    let file = Checkout.root.appending(path: "Tests/Vectors/decoders/llama-q8_0/model.gguf")
    let whole = Array(try Data(contentsOf: file))
    let longer = whole + [UInt8](repeating: 0, count: 64)
    for bytes in [Array(whole.prefix(1000)), Array(whole.dropLast(64)), longer, []] {
      try broken.write("a.gguf", bytes)
      #expect(try broken.refusal().contains("a.gguf"), "\(bytes.count) bytes")
    }
    var poisoned = whole
    poisoned.replaceSubrange(whole.count - 68..<whole.count, with: [UInt8](repeating: 0xff, count: 68))
    try broken.write("a.gguf", poisoned)
    #expect(try broken.refusal(readsWeights: true).contains("holds an infinity or a NaN"))
    _ = try DecoderExamination(folder: broken.path, readsWeights: false)
    let named = try Folder(nil)
    try named.write("a b.gguf", whole)
    #expect(try named.refusal().contains("must be called by letters"))
  }

  @Test("which enclave a model fits follows from its shape: sizes of well-known models' files within 2 %")
  func fits() throws {
    let folder = try Folder(nil)
    try folder.write(
      "config.json",
      Array(
        (#"{"model_type":"llama","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"#
          + #""num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":131072}"#)
          .utf8))
    let shape = try DecoderShape(folder: folder.path, contextLength: 8192)
    let bytes = Dictionary(uniqueKeysWithValues: shape.ways.map { ($0.name, Double($0.footprint.weightBytes)) })
    // Llama 3.1 8B: 8.03 billion numbers; its files in GGUF as they are published.
    for (name, gigabytes) in [("bf16", 16.06), ("fp32", 32.12), ("Q8_0", 8.54), ("Q4_K_M", 4.92), ("Q6_K", 6.60)] {
      let ratio = (bytes[name] ?? 0) / (gigabytes * 1e9)
      #expect(ratio > 0.98 && ratio < 1.04, "\(name): \(ratio)")
    }
    let mixed = try #require(shape.ways.first { $0.name == "Q4_K_M" }).footprint
    #expect(mixed.cacheBytesPerToken == 131_072 && mixed.contextLength == 8192)
    let least = DecoderFit.leastEnclaveBytes(mixed, threads: 4)
    #expect(least > 6 << 30 && least < 9 << 30)
    #expect(DecoderFit(mixed, enclaveBytes: least + 4096, threads: 4).sequences == 1)
    #expect(DecoderFit(mixed, enclaveBytes: least - (1 << 20), threads: 4).sequences == 0)
    #expect(DecoderFit(mixed, enclaveBytes: 0, threads: 4).sequences == 0)
    #expect(throws: ClientError.self) { try DecoderShape(folder: folder.path + "/none", contextLength: nil) }
  }
}
