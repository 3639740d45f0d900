import Foundation

/// A Llama of one layer and 32 floats with a token for each byte: it writes noise, in milliseconds, and every step of
/// loading, templating, constraining and sampling is the real one.
package struct TinyDecoder: Sendable {
  /// Tokens of prompt and output together.
  package static let contextLength = 1024
  /// Ids of the special tokens, behind those of the bytes and of a few words.
  package static let (begin, end, role): (Int, Int, Int) = (270, 271, 272)
  private static let (width, inner, head, vocabulary) = (32, 64, 16, 288)

  package static let template =
    "{{ bos_token }}{% for message in messages %}"
    + "{% if message.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('no such role') }}{% endif %}"
    + "<|role|>{{ message.role }}\\n{{ message.content | trim }}<|end|>{% endfor %}"
    + "{% if add_generation_prompt %}<|role|>assistant\\n{% endif %}"

  /// Another seed gives other weights of the same shapes.
  package var seed: UInt32
  /// Nil leaves the chat template out.
  package var template: String?
  /// Whether the file calls `<|role|>` special, or one of its added tokens only.
  package var isRoleSpecial = true

  package init(seed: UInt32 = 1, template: String? = TinyDecoder.template) {
    (self.seed, self.template) = (seed, template)
  }

  package var config: String {
    #"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_act":"silu","hidden_size":32,"#
      + #""intermediate_size":64,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":16,"#
      + #""rms_norm_eps":1e-6,"rope_theta":10000.0,"max_position_embeddings":\#(Self.contextLength),"#
      + #""vocab_size":\#(Self.vocabulary),"tie_word_embeddings":false,"attention_bias":false,"mlp_bias":false,"#
      + #""bos_token_id":\#(Self.begin),"eos_token_id":\#(Self.end)}"#
  }

  /// Bytes as byte-level vocabularies spell them: those that print as themselves, the others from U+0100 on.
  private static let alphabet: [String] = {
    var next: UInt32 = 256
    return (0..<256).map { byte -> String in
      let prints = (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
      defer { if !prints { next += 1 } }
      return Unicode.Scalar(prints ? UInt32(byte) : next).map { String(Character($0)) } ?? ""
    }
  }()

  private static let merges = [
    ("t", "h"), ("th", "e"), ("Ġ", "the"), ("o", "f"), ("Ġ", "of"), ("i", "n"), ("e", "r"), ("r", "e"), ("Ġ", "a"),
    ("Ġ", "b"), ("o", "n"), ("e", "n"), ("a", "n"), ("s", "t"),
  ]

  package var tokenizer: String {
    func quoted(_ text: String) -> String {
      "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
    let vocabulary = (Self.alphabet + Self.merges.map { $0.0 + $0.1 }).enumerated()
      .map { "\(quoted($1)):\($0)" }.joined(separator: ",")
    let merges = Self.merges.map { "[\(quoted($0.0)),\(quoted($0.1))]" }.joined(separator: ",")
    let special = [("<|begin|>", Self.begin), ("<|end|>", Self.end), ("<|role|>", Self.role)].map {
      #"{"id":\#($0.1),"content":"\#($0.0)","special":\#($0.1 != Self.role || isRoleSpecial)}"#
    }.joined(separator: ",")
    return #"{"added_tokens":[\#(special)],"normalizer":null,"#
      + #""pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"#
      + #""post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|begin|>","type_id":0}},"#
      + #"{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},"#
      + #"{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<|begin|>":{"id":"<|begin|>","ids":[\#(Self.begin)],"#
      + #""tokens":["<|begin|>"]}}},"#
      + #""decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},"#
      + #""model":{"type":"BPE","vocab":{\#(vocabulary)},"merges":[\#(merges)]}}"#
  }

  /// Every file but the weights.
  package var clearFiles: [String: [UInt8]] {
    let chat = template.map { #","chat_template":"\#($0)""# } ?? ""
    return [
      "config.json": config, "tokenizer.json": tokenizer,
      "tokenizer_config.json": #"{"bos_token":"<|begin|>","eos_token":"<|end|>"\#(chat)}"#,
    ].mapValues { Array($0.utf8) }
  }

  /// The weights as a safetensors file in BF16.
  package func weights() -> [UInt8] {
    var header: [String] = []
    var data: [UInt8] = []
    for (name, shape) in Self.shapes {
      let start = data.count
      for index in 0..<shape.reduce(1, *) {
        let bits = value(name, index).bitPattern
        data += [UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 24)]
      }
      header.append("\"\(name)\":{\"dtype\":\"BF16\",\"shape\":\(shape),\"data_offsets\":[\(start),\(data.count)]}")
    }
    return TinyModel.safetensors("{\(header.joined(separator: ","))}", data)
  }

  /// Writes the folder as Hugging Face lays it out.
  package func write(to folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(weights()).write(to: URL(filePath: folder + "/model.safetensors"))
    for (name, bytes) in clearFiles { try Data(bytes).write(to: URL(filePath: "\(folder)/\(name)")) }
  }

  private static let shapes: [(String, [Int])] = {
    let layer = "model.layers.0."
    return [
      ("model.embed_tokens.weight", [vocabulary, width]), (layer + "input_layernorm.weight", [width]),
      (layer + "self_attn.q_proj.weight", [2 * head, width]), (layer + "self_attn.k_proj.weight", [head, width]),
      (layer + "self_attn.v_proj.weight", [head, width]), (layer + "self_attn.o_proj.weight", [width, 2 * head]),
      (layer + "post_attention_layernorm.weight", [width]), (layer + "mlp.gate_proj.weight", [inner, width]),
      (layer + "mlp.up_proj.weight", [inner, width]), (layer + "mlp.down_proj.weight", [width, inner]),
      ("model.norm.weight", [width]), ("lm_head.weight", [vocabulary, width]),
    ]
  }()

  /// Numbers that BF16 holds exactly; gains about 1.
  private func value(_ name: String, _ index: Int) -> Float {
    var hash = name.utf8.reduce(seed &* 747_796_405 &+ UInt32(index) &* 2_654_435_761) {
      ($0 ^ UInt32($1)) &* 16_777_619
    }
    hash = (hash ^ hash >> 15) &* 2_246_822_519
    let small = Float(Int(hash >> 16 & 63) - 32) / 64
    return name.hasSuffix("norm.weight") ? 1 + small / 4 : small
  }
}
