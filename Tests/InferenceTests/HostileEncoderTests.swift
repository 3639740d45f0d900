import TestSupport
import Testing

@testable import Inference

/// What other architectures, heads, shards and modules may say wrong.
@Suite("Hostile files of other encoders are refused")
struct HostileEncoderTests {
  private static func reason(_ body: () throws -> some Any) -> String {
    do {
      _ = try body()
      return "accepted"
    } catch {
      return (error as? ModelError)?.description ?? "\(error)"
    }
  }

  /// A golden model with one part of a clear file replaced.
  private static func refusal(_ name: String, _ file: String, _ part: String, _ replacement: String) -> String {
    reason {
      let golden = EncoderGolden(name: name)
      var contents: [String: [UInt8]] = [:]
      let files = try golden.files()
      for name in files.names { contents[name] = files[name] }
      let text = String(decoding: contents[file] ?? [], as: UTF8.self)
      contents[file] = Array((part.isEmpty ? replacement : text.replacing(part, with: replacement)).utf8)
      #expect(part.isEmpty || text.contains(part), "\(file) of \(name) lacks \(part)")
      let (changed, config) = (ModelFiles(contents), try ModelConfig(files: ModelFiles(contents)))
      return try EncoderGolden.withFiles(try golden.weights()) {
        try SequenceEncoder(
          try ModelWeights($0, clear: changed, config: config), config: config, precision: .fp32, threads: 1)
      }
    }
  }

  @Test(
    "settings of architectures, heads, pooling, dense modules and prompts",
    arguments: [
      ("roberta-mean", "config.json", #""pad_token_id": 1"#, #""pad_token_id": 9000"#, "`pad_token_id` must be"),
      ("roberta-mean", "config.json", #""pad_token_id": 1"#, #""pad_token_id": -1"#, "`pad_token_id` must be"),
      ("roberta-mean", "config.json", "\"roberta\"", "\"distilbert\"", "`dim` is missing"),
      ("distilbert-lasttoken", "config.json", "\"dim\": 32", "\"dim\": 40", "`dim` divided by `n_heads`"),
      ("distilbert-lasttoken", "config.json", "\"relu\"", "\"silu\"", "`activation` is `silu`"),
      (
        "mpnet-mean", "config.json", "\"relative_attention_num_buckets\": 32",
        "\"relative_attention_num_buckets\": 64", "must be 32"
      ),
      ("bert-classify", "config.json", "\"1\": \"entailment\"", "\"7\": \"entailment\"", "`id2label` must give"),
      ("bert-classify", "config.json", "\"1\": \"entailment\"", "\"1\": \"\"", "`id2label` must give"),
      ("bert-classify", "config.json", "\"1\": \"entailment\"", "\"1\": \"neutral\"", "has a label twice"),
      ("bert-classify", "config.json", "\"1\": \"entailment\",", "", "`id2label` must give"),
      ("bert-classify", "config.json", "\"2\": \"neutral\"", "\"2\": \"neutral\", \"3\": \"x\"", "has shape [3, 32]"),
      ("bert-classify", "config.json", "ForSequenceClassification", "ForTokenClassification", "`classifier."),
      (
        "roberta-multilabel", "config.json", "\"multi_label_classification\"", "\"ranking\"",
        "`problem_type` is `ranking`"
      ),
      (
        "bert-score", "config_sentence_transformers.json", "linear.Identity", "activation.Tanh",
        "must be Sigmoid or Identity"
      ),
      ("bert-score", "config_sentence_transformers.json", "torch.nn", "os.system", "which is not computed here"),
      ("bert-max", "1_Pooling/config.json", "\"max\"", "\"weightedmean\"", "`pooling_mode` is `weightedmean`"),
      ("bert-max", "1_Pooling/config.json", "64", "65", "`embedding_dimension` differs"),
      (
        "bert-mean", "1_Pooling/config.json", "\"include_prompt\": true", "\"include_prompt\": false",
        "pooling leaves them out"
      ),
      (
        "bert-mean", "config_sentence_transformers.json", "\"default_prompt_name\": \"document\"",
        "\"default_prompt_name\": \"x\"", "is none of `prompts`"
      ),
      ("bert-mean", "config_sentence_transformers.json", "\"a query: \"", "7", "must give names"),
      ("bert-dense", "2_Dense/config.json", "\"out_features\": 48", "\"out_features\": 47", "multiple of 16"),
      ("bert-dense", "2_Dense/config.json", "\"out_features\": 48", "\"out_features\": 64", "has shape [48, 32]"),
      ("bert-dense", "2_Dense/config.json", "\"in_features\": 32", "\"in_features\": 48", "differs from the width"),
      ("bert-dense", "2_Dense/config.json", "\"bias\": true", "\"bias\": false", "has other tensors"),
      ("bert-dense", "2_Dense/config.json", "activation.Tanh", "activation.Hardswish", "which is not computed here"),
      ("bert-dense", "modules.json", "\"2_Dense\"", "\"../2_Dense\"", "`path` must be a folder within"),
      ("bert-dense", "modules.json", "\"2_Dense\"", "\"/etc\"", "`path` must be a folder within"),
      ("bert-dense", "modules.json", "\"2_Dense\"", "\"\"", "`path` must be a folder within"),
      ("bert-dense", "modules.json", "modules.dense.Dense", "modules.dense.CNN", "must list Transformer"),
      ("bert-dense", "modules.json", "", "[\(String(repeating: "{},", count: 20)){}]", "up to 8 objects"),
    ])
  func settings(_ name: String, _ file: String, _ part: String, _ replacement: String, _ expected: String) {
    let reason = Self.refusal(name, file, part, replacement)
    #expect(reason.contains(expected), "\(reason)")
  }

  /// An index over files with one tensor of one byte each.
  private static func sharded(_ index: String, _ files: [(name: String, tensors: [String])]) -> String {
    reason {
      let clear = ModelFiles([ShardIndex.file: Array(index.utf8)])
      let headers = try files.map { file in
        let tensors = file.tensors.enumerated().map {
          #""\#($1)":{"dtype":"U8","shape":[1],"data_offsets":[\#($0),\#($0 + 1)]}"#
        }
        let bytes = TinyModel.safetensors(
          "{\(tensors.joined(separator: ","))}", [UInt8](repeating: 0, count: tensors.count))
        return try SafetensorsHeader(parsing: bytes, fileSize: bytes.count, file: file.name)
      }
      return try TensorDirectory(headers, index: try ShardIndex(files: clear, unless: false))
    }
  }

  @Test("an index of shards: names, places, doubles, what is missing, and how many")
  func shards() {
    let index = #"{"metadata":{},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#
    let (one, two) = ("1.safetensors", "2.safetensors")
    #expect(Self.sharded(index, [(one, ["a"]), (two, ["b"])]) == "accepted")
    #expect(Self.sharded(index, [(one, ["b"]), (two, ["a"])]).contains("is in 2.safetensors by"))
    #expect(Self.sharded(index, [(one, ["a"]), (two, ["a", "b"])]).contains("`a` stands in 1.safetensors already"))
    #expect(Self.sharded(index, [(one, ["a", "c"]), (two, ["b"])]).contains("`c` is not listed by"))
    #expect(Self.sharded(index, [(one, ["a"]), (two, [])]).contains("2.safetensors: tensor `b` is missing"))
    for name in [
      "../1.safetensors", "/1.safetensors", "x/1.safetensors", ".safetensors", "1.bin", "", "1\\u0000.safetensors",
      "ä.safetensors",
    ] {
      let reason = Self.sharded(#"{"weight_map":{"a":"\#(name)"}}"#, [(one, ["a"])])
      #expect(reason.contains("must give each tensor a file name"), "\(name): \(reason)")
    }
    let many = (0...ShardIndex.shardLimit).map { #""\#($0)":"\#($0).safetensors""# }.joined(separator: ",")
    #expect(Self.sharded("{\"weight_map\":{\(many)}}", []).contains("names more than 48 files"))
    #expect(Self.sharded(#"{"weight_map":{}}"#, []).contains("must name 1 to"))
    #expect(Self.sharded(#"{"weight_map":{"a":7}}"#, []).contains("must give each tensor a file name"))
    #expect(Self.sharded("[]", []).contains("not a JSON object"))
  }

  @Test("a loader that is handed other weight files than the model's refuses them")
  func otherFiles() throws {
    let golden = EncoderGolden(name: "xlm-roberta-cls")
    let (files, weights) = (try golden.files(), try golden.weights())
    let config = try ModelConfig(files: files)
    func load(_ weights: [(name: String, bytes: [UInt8])]) -> String {
      Self.reason { try EncoderGolden.withFiles(weights) { try ModelWeights($0, clear: files, config: config) } }
    }
    #expect(weights.count > 1 && load(weights) == "accepted")
    #expect(load(weights.dropLast()).contains("is missing"))
    #expect(load(weights + [("3.safetensors", [])]).contains("is not one of the model's weight files"))
    #expect(load([]).contains("is missing"))
    let swapped = zip(weights, weights.reversed()).map { (name: $0.name, bytes: $1.bytes) }
    #expect(load(swapped).contains("by model.safetensors.index.json"))
  }

  @Test("segments that have no row are refused before the table is read")
  func segments() throws {
    let encoder = try EncoderGolden(name: "bert-mean").encoder()
    for segments: [UInt8] in [[0], [0, 0, 2], [0, 255, 0], [0, 0, 0, 0]] {
      #expect(throws: EmbeddingModel.Failure.badInput(index: 0)) {
        try encoder.compute([TokenizedInput(ids: [2, 14, 3], truncated: false, segments: segments)])
      }
    }
  }
}
