import TestSupport
import Testing

@testable import Inference

/// Model files may come from anybody: each fault is refused with its own reason, and none is a crash.
@Suite("Hostile model files are refused")
struct HostileModelTests {
  private static func reason(_ body: () throws -> Any) -> String {
    do {
      _ = try body()
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  private static let fine = #""t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#

  @Test(
    "a safetensors header",
    arguments: [
      (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}}"#, 8, "outside the file"),
      (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "outside the file"),
      (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, 8, "outside the file"),
      (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}"#, 8, "outside the file"),
      (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,1e1]}}"#, 8, "outside the file"),
      (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775808]}}"#, 8, "outside the file"),
      (#"{"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "has 8 bytes"),
      (#"{"t":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "`shape`"),
      (#"{"t":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}"#, 8, "`shape`"),
      (#"{"t":{"dtype":"F32","shape":"2","data_offsets":[0,8]}}"#, 8, "`shape`"),
      (#"{"t":{"dtype":"U8","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}}"#, 8, "too large"),
      (#"{"t":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}"#, 8, "`dtype`"),
      (#"{"t":{"dtype":"F32","shape":[2]}}"#, 8, "exactly dtype, shape and data_offsets"),
      (#"{"t":[1]}"#, 8, "exactly dtype, shape and data_offsets"),
      ("{\(fine),\(fine)}", 8, "stands twice"),
      (#"{\#(fine),"u":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "overlap or gap"),
      (#"{\#(fine),"u":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}"#, 16, "overlap or gap"),
      (#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, "overlap or gap"),
      ("{\(fine)}", 12, "the tensors end at 8, the file at 12"),
      ("[]", 0, "not a JSON object"),
      ("{\(fine)", 8, "the header"),
      ("{\(fine)}x", 8, "text behind"),
      (#"{"a":{"b":{"c":{"d":{"e":1}}}}}"#, 0, "nested deeper"),
    ])
  func header(text: String, size: Int, expected: String) {
    let file = TinyModel.safetensors(text, [UInt8](repeating: 0, count: size))
    let reason = Self.reason { try SafetensorsHeader(parsing: file, fileSize: file.count) }
    #expect(reason.contains(expected) && reason.hasPrefix("model.safetensors: "), "\(reason)")
  }

  @Test("a header's length beyond file or bound, before anything is allocated")
  func headerLength() throws {
    for length in [UInt64(0), 1, 4 << 20 + 1, 1 << 40, .max] {
      let prefix = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) }
      #expect(throws: ModelError.self) { try SafetensorsHeader(parsing: prefix + [123, 125], fileSize: 10) }
    }
    let file = TinyModel().weights()
    for count in [0, 1, 7, 8, 9, 100] {
      #expect(throws: ModelError.self) { try SafetensorsHeader(parsing: file.prefix(count), fileSize: count) }
    }
    #expect(try SafetensorsHeader(parsing: file, fileSize: file.count).tensors.count == 21)
  }

  @Test(
    "weights that are no BERT of config.json's shape",
    arguments: [
      (TinyModel(missing: "encoder.layer.0.output.dense.bias"), "`encoder.layer.0.output.dense.bias` is missing"),
      (TinyModel(extraTensors: ["encoder.layer.0.adapter.weight"]), "is not part of a bert encoder"),
      (TinyModel(type: .i32), "is I32; F32, F16 and BF16 are supported"),
      (TinyModel(poison: ("embeddings.LayerNorm.bias", 0x7fc0_0000)), "bias` holds an infinity or a NaN"),
      (TinyModel(poison: ("encoder.layer.0.output.dense.weight", 0xff80_0000)), "holds an infinity or a NaN"),
    ])
  func weights(model: TinyModel, expected: String) {
    let reason = Self.reason { try model.load() }
    #expect(reason.contains(expected), "\(reason)")
  }

  @Test(
    "a config.json",
    arguments: [
      (#""bert""#, #""llama""#, "`model_type` is `llama`"), (#""gelu""#, #""swish""#, "`hidden_act` is `swish`"),
      (#""hidden_size":32"#, #""hidden_size":33"#, "multiple of 16"),
      (#""hidden_size":32"#, #""hidden_size":99999999"#, "`hidden_size` must be an integer from"),
      (#""hidden_size":32"#, #""hidden_size":"32""#, "`hidden_size` must be an integer from"),
      (#""hidden_size":32"#, #""hidden_size":48"#, "multiple of 16"),
      (#""hidden_size":32"#, #""hidden_size":64"#, "has shape"),
      (#""num_hidden_layers":1"#, #""num_hidden_layers":1000000000"#, "`num_hidden_layers` must be"),
      (#""num_hidden_layers":1"#, #""num_hidden_layers":2"#, "encoder.layer.1.attention.self.query.weight` is missing"),
      (#""num_attention_heads":2"#, #""num_attention_heads":0"#, "`num_attention_heads` must be"),
      (#""vocab_size":16"#, #""vocab_size":8"#, "ids beyond"), (#""vocab_size":16"#, #""vocab_size":17"#, "has shape"),
      (#""vocab_size":16,"#, "", "`vocab_size` is missing"),
      ("}", #","quantization_config":{}}"#, "`quantization_config` is not supported"),
      ("}", #","is_decoder":true}"#, "only encoders"), ("}", #","layer_norm_eps":0}"#, "`layer_norm_eps` must be"),
      ("}", #","position_embedding_type":"relative_key"}"#, "`position_embedding_type` is"),
      ("}", #","hidden_size":32}"#, "stands twice"), ("}", "", "expected `,` or `}`"),
    ])
  func config(part: String, replacement: String, expected: String) {
    var model = TinyModel()
    let weights = model.weights()
    model.config = model.config.replacing(part, with: replacement)
    let reason = Self.reason { try EmbeddingModel.load(files: model.files, weights: weights) }
    #expect(reason.contains(expected), "\(reason)")
  }

  @Test(
    "pooling, modules and limits",
    arguments: [
      ("modules.json", #"[{"type":"sentence_transformers.models.Dense","path":"2_Dense"}]"#, "must list Transformer"),
      ("modules.json", #"[1]"#, "must be an array of objects"),
      (
        "modules.json", #"[{"type":"x.Transformer","path":""},{"type":"x.Pooling","path":"../../etc"}]"#,
        "`path` must be a folder within"
      ),
      ("sentence_bert_config.json", #"{"max_seq_length":0}"#, "`max_seq_length` must be"),
      ("sentence_bert_config.json", #"{"do_lower_case":true}"#, "`do_lower_case` is true"),
    ])
  func modules(file: String, text: String, expected: String) {
    var model = TinyModel()
    model.others[file] = text
    let reason = Self.reason { try model.load() }
    #expect(reason.contains(expected), "\(reason)")
  }

  @Test(
    "a tokenizer.json",
    arguments: [
      ("WordPiece", "WordLevel", "`model.type` is `WordLevel`"),
      ("WordPiece", "BPE", "`model.merges` must be an array"),
      ("BertNormalizer", "NFKC", "`normalizer.type` is `NFKC`"),
      ("BertPreTokenizer", "Whitespace", "`pre_tokenizer.type` is"),
      ("BertProcessing", "Byte", "must be TemplateProcessing"),
      (#""[UNK]":1,"#, "", "lacks the token `[UNK]`"), (#"["[SEP]",3]"#, #"["[NOPE]",3]"#, "lacks the token `[NOPE]`"),
      (#"["[SEP]",3]"#, "[]", "must be a token and its id"), (#""a":5"#, #""a":-5"#, "an id that is not from 0"),
      (#""a":5"#, #""a":4294967301"#, "an id that is not from 0"), (#""a":5"#, #""":5"#, "is empty or stands twice"),
      (#""a":5"#, #""a":900000"#, "ids beyond"),
      (#""content":"[CLS]""#, #""content":" ","rstrip":true"#, "is white space that strips white space"),
      (#""content":"[CLS]""#, #""content":"\#(String(repeating: "a", count: 257))""#, "is longer than 256 bytes"),
      (#""id":2,"#, #""id":99,"#, "ids beyond"), (#""content":"[CLS]""#, #""content":"""#, "is empty"),
    ])
  func tokenizer(part: String, replacement: String, expected: String) {
    var model = TinyModel()
    model.tokenizer = model.tokenizer.replacing(part, with: replacement)
    let reason = Self.reason { try Tokenizer(files: model.files) }
    #expect(reason.contains(expected) && reason.hasPrefix("tokenizer.json: "), "\(reason)")
  }

  @Test("nine hundred long tokens that nearly match everywhere cost a text no more than reading it")
  func nearMisses() throws {
    var model = TinyModel()
    let added = (0..<900).map { number in
      let content = String(repeating: "a", count: 200 - number % 50) + "\(number)"
      return #"{"id":4,"content":"\#(content)"}"#
    }
    model.tokenizer = model.tokenizer.replacing(
      #""added_tokens":["#, with: #""added_tokens":[\#(added.joined(separator: ",")),"#)
    let tokenizer = try Tokenizer(files: model.files)
    // With a comparison for each token at each place this would be 10¹¹ steps.
    let tokens = tokenizer.tokenize(String(repeating: "a", count: 1 << 20))
    #expect(tokens.ids == [2, 1, 3] && !tokens.truncated)
    let found = tokenizer.tokenize("b" + String(repeating: "a", count: 200) + "50c")
    #expect(found.ids == [2, 6, 4, 7, 3])
  }

  @Test("inputs that are not the model's own are refused before the tables are read")
  func inputs() throws {
    let model = try TinyModel().load()
    for ids in [[], [-1], [16], [Int32](repeating: 1, count: 25)] {
      let input = TokenizedInput(ids: ids, truncated: false)
      #expect(throws: EmbeddingModel.Failure.badInput(index: 1)) {
        try model.embed([model.tokenize("a"), input])
      }
    }
    #expect(try model.embed([]) == [])
  }

  @Test("any byte of any file may be wrong: 6,000 random changes, no crash")
  func mutations() throws {
    let model = TinyModel()
    let whole = model.weights()
    let header = try SafetensorsHeader(parsing: whole, fileSize: whole.count).dataStart
    var random = SeededGenerator(seed: 3)
    for _ in 0..<2000 {
      var weights = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        weights[Int.random(in: 0..<header, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
      }
      _ = try? SafetensorsHeader(parsing: weights, fileSize: weights.count)
      for name in ["config.json", "tokenizer.json"] {
        var contents = ["config.json": Array(model.config.utf8), "tokenizer.json": Array(model.tokenizer.utf8)]
        var bytes = contents[name] ?? []
        bytes[Int.random(in: bytes.indices, using: &random)] = UInt8(
          ascii: Unicode.Scalar("0123456789\"[]{}:,-.etn".utf8.randomElement(using: &random) ?? 0))
        contents[name] = bytes
        if let tokenizer = try? Tokenizer(files: ModelFiles(contents)) {
          _ = tokenizer.tokenize("a unable é.")
        }
      }
    }
  }
}
