import TestSupport
import Testing

@testable import Inference

/// config.json and the weights' headers may be anybody's.
@Suite("A decoder's configuration")
struct DecoderConfigTests {
  private static func config(_ members: [String: String], generation: String? = nil) throws -> DecoderConfig {
    var all = [
      "model_type": #""llama""#, "hidden_size": "64", "num_hidden_layers": "2", "num_attention_heads": "4",
      "num_key_value_heads": "2", "intermediate_size": "96", "vocab_size": "100", "max_position_embeddings": "512",
    ]
    all.merge(members) { $1 }
    let text =
      "{\(all.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }.map { "\"\($0)\":\($1)" }.joined(separator: ","))}"
    var files = ["config.json": Array(text.utf8)]
    if let generation { files["generation_config.json"] = Array(generation.utf8) }
    return try DecoderConfig(files: ModelFiles(files))
  }

  @Test("members that are absent mean what transformers takes them for")
  func defaults() throws {
    let config = try Self.config(["num_key_value_heads": "", "head_dim": "null", "rope_scaling": "null"])
    #expect(config.keyValueHeads == 4 && config.headWidth == 16 && config.normEpsilon == 1e-6 && !config.tiesHead)
    #expect(config.rotary.frequencies[0] == 1 && config.rotary.attentionFactor == 1 && config.endTokens.isEmpty)
    #expect(config.rotary.frequencies.count == 8 && config.windows == [nil, nil] && config.contextLength == 512)
  }

  @Test("rotary settings of older and of newer files are the same settings")
  func rotary() throws {
    let scalings = [
      #""factor":4.0"#: "linear",
      #""factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":64"#: "llama3",
      #""factor":4,"original_max_position_embeddings":128,"beta_fast":16"#: "yarn",
    ]
    for (members, type) in scalings {
      let old = try Self.config(["rope_theta": "500000.0", "rope_scaling": #"{"type":"\#(type)",\#(members)}"#])
      let new = try Self.config(["rope_parameters": #"{"rope_type":"\#(type)","rope_theta":500000.0,\#(members)}"#])
      #expect(old == new)
      #expect(old.rotary != (try Self.config(["rope_theta": "500000.0"])).rotary)
    }
    let yarn = try Self.config(["rope_scaling": #"{"type":"yarn","factor":4,"original_max_position_embeddings":256}"#])
    #expect(yarn.contextLength == 1024 && abs(yarn.rotary.attentionFactor - 1.1386294) < 1e-6)
    // Beyond the training's length frequencies would change beneath stored keys: the context ends there.
    let dynamic = try Self.config(["rope_scaling": #"{"type":"dynamic","factor":4}"#])
    #expect(dynamic.rotary == (try Self.config([:])).rotary && dynamic.contextLength == 512)
  }

  @Test("windows and offsets follow the architecture")
  func layers() throws {
    let window = ["sliding_window": "32"]
    #expect(try Self.config(window).windows == [nil, nil])
    #expect(try Self.config(window.merging(["model_type": #""mistral""#]) { $1 }).windows == [32, 32])
    #expect(try Self.config(["model_type": #""mistral""#, "sliding_window": "null"]).windows == [nil, nil])
    let qwen = window.merging(["model_type": #""qwen2""#, "use_sliding_window": "true"]) { $1 }
    #expect(try Self.config(qwen.merging(["max_window_layers": "1"]) { $1 }).windows == [nil, 32])
    #expect(try Self.config(qwen.merging(["use_sliding_window": "false"]) { $1 }).windows == [nil, nil])
    let types = #"["sliding_attention","full_attention"]"#
    #expect(try Self.config(qwen.merging(["layer_types": types]) { $1 }).windows == [32, nil])
    #expect(try Self.config(qwen).biases == .init(queryKeyValue: true))
    let biased = ["attention_bias": "true", "mlp_bias": "true"]
    #expect(try Self.config(biased).biases == .init(queryKeyValue: true, attentionOutput: true, feedForward: true))
    #expect(try Self.config(biased.merging(["model_type": #""mistral""#]) { $1 }).biases == .init())
  }

  @Test("what ends a text is one token or several, from the generation's settings first")
  func ends() throws {
    #expect(try Self.config(["eos_token_id": "2"]).endTokens == [2])
    #expect(try Self.config(["eos_token_id": "2"], generation: #"{"eos_token_id":[7,8]}"#).endTokens == [7, 8])
    #expect(try Self.config(["eos_token_id": "2"], generation: "{}").endTokens == [2])
  }

  @Test(
    "what is out of bounds or not computed is refused by its name",
    arguments: [
      ("model_type", #""gemma3_text""#), ("model_type", ""), ("hidden_act", #""gelu""#), ("hidden_size", "63"),
      ("hidden_size", "1000000"), ("hidden_size", ""), ("num_hidden_layers", "0"), ("num_hidden_layers", "1e3"),
      ("num_attention_heads", "0"), ("num_key_value_heads", "3"), ("head_dim", "24"), ("head_dim", "1024"),
      ("intermediate_size", "100"), ("vocab_size", "0"), ("vocab_size", "99999999"), ("max_position_embeddings", "-1"),
      ("max_position_embeddings", "99999999"), ("rms_norm_eps", "0"), ("rope_theta", "0"), ("rope_theta", "1e300"),
      ("tie_word_embeddings", "1"), ("quantization_config", "{}"), ("partial_rotary_factor", "0.5"),
      ("eos_token_id", "100"), ("eos_token_id", #""2""#), ("attention_bias", "0"),
    ])
  func refusals(name: String, value: String) throws {
    let error = #expect(throws: ModelError.self) { try Self.config([name: value]) }
    #expect(error?.description.contains("`\(name)`") == true, "\(error?.description ?? "")")
  }

  @Test(
    "scalings that are not computed, or that have no sense, are refused by their name",
    arguments: [
      (#"{"type":"longrope","factor":2}"#, "rope_type"), (#"{"type":"linear"}"#, "factor"),
      (#"{"type":"linear","factor":0.5}"#, "factor"), (#"{"type":"linear","factor":1e9}"#, "factor"),
      (#"{"type":"llama3","factor":8}"#, "original_max_position_embeddings"),
      (#"{"type":"llama3","factor":8,"low_freq_factor":4,"original_max_position_embeddings":64}"#, "high_freq_factor"),
      (#"{"type":"yarn","factor":4,"beta_fast":1}"#, "beta_fast"),
      (#"{"type":"yarn","factor":4,"original_max_position_embeddings":0}"#, "original_max_position_embeddings"),
      (#"{"full_attention":{"rope_type":"default"}}"#, "rope_scaling"), (#"[]"#, "rope_scaling"),
    ])
  func scalings(value: String, name: String) throws {
    let error = #expect(throws: ModelError.self) { try Self.config(["rope_scaling": value]) }
    #expect(error?.description.contains(name) == true, "\(error?.description ?? "")")
  }

  @Test("tensors that are missing, of another shape or beyond the architecture are refused by their name")
  func tensors() throws {
    let config = try DecoderConfig(files: try DecoderGolden(name: "llama").files())
    func error(_ change: (inout [(name: String, shape: [Int])]) -> Void) throws -> String {
      var shapes = DecoderTensors(config).shapes
      _ = try DecoderTensors(checking: Self.directory(shapes), config: config)
      change(&shapes)
      let error = #expect(throws: ModelError.self) {
        try DecoderTensors(checking: Self.directory(shapes), config: config)
      }
      return error?.description ?? ""
    }
    #expect(try error { $0.removeLast() }.contains("model.layers.1.mlp.down_proj.weight"))
    #expect(try error { $0[0].shape = [99, 48] }.contains("embed_tokens"))
    #expect(try error { $0.append(("model.layers.0.self_attn.q_proj.lora_A.weight", [1])) }.contains("lora_A"))
    #expect(try error { $0.append(("model.layers.2.mlp.up_proj.weight", [64, 48])) }.contains("layers.2"))
  }

  private static func directory(_ shapes: [(name: String, shape: [Int])]) throws -> TensorDirectory {
    var (members, end): ([String], Int) = ([], 0)
    for (name, shape) in shapes {
      let size = shape.reduce(2, *)
      members.append(#""\#(name)":{"dtype":"F16","shape":\#(shape),"data_offsets":[\#(end),\#(end + size)]}"#)
      end += size
    }
    let header = TinyModel.safetensors("{\(members.joined(separator: ","))}", [])
    return try TensorDirectory([SafetensorsHeader(parsing: header, fileSize: header.count + end)])
  }
}
