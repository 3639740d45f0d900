import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// What the real model's golden data does not reach.
@Suite("Models of other kinds")
struct TinyModelTests {
  @Test("F16 and BF16 weights give the embeddings of the same numbers in F32")
  func halves() throws {
    var model = TinyModel()
    let input = try model.load().tokenize("a b c unable é . zzz")
    let expected = try model.load().embed([input])
    for type in [TinyModel.Element.f16, .bf16] {
      model.type = type
      #expect(try model.load().embed([input]) == expected)
    }
  }

  @Test("a loaded model names its architecture and the types of the weights that it computes with, and no others")
  func elementTypes() throws {
    var model = TinyModel()
    model.extraTensors = ["embeddings.position_ids"]
    for type in [TinyModel.Element.f32, .f16, .bf16] {
      model.type = type
      let loaded = try model.load()
      #expect(loaded.elementTypes == [type.rawValue] && loaded.architecture == "bert")
    }
  }

  @Test("every binary16 number converts exactly")
  func halfFloats() {
    for bits in UInt16.min...UInt16.max where bits & 0x7c00 != 0x7c00 {
      let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 1023))
      let magnitude =
        exponent == 0
        ? fraction * 0x1p-24 : (1024 + fraction) * Double(sign: .plus, exponent: exponent - 25, significand: 1)
      #expect(Double(Weights.float(half: bits)) == (bits < 0x8000 ? magnitude : -magnitude))
    }
    #expect(Weights.float(half: 0x7c00) == .infinity && Weights.float(half: 0x7e00).isNaN)
  }

  @Test("tensor names may begin with `bert.`, and a pooler or a head may lie unused beside")
  func prefixes() throws {
    var model = TinyModel()
    let expected = try model.load().embed([model.load().tokenize("a")])
    model.prefix = "bert."
    model.extraTensors = ["pooler.dense.bias", "embeddings.position_ids"]
    #expect(try model.load().embed([model.load().tokenize("a")]) == expected)
  }

  @Test("CLS pooling takes the first token, and length one comes only with Normalize")
  func pooling() throws {
    var model = TinyModel()
    let transformer = #"{"type":"sentence_transformers.models.Transformer","path":""}"#
    let pooling = #"{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}"#
    let normalize = #"{"type":"sentence_transformers.models.Normalize","path":"2_Normalize"}"#
    model.others = [
      "modules.json": "[\(transformer),\(pooling)]",
      "1_Pooling/config.json": #"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}"#,
    ]
    let plain = try model.load()
    let first = try plain.embed([plain.tokenize("a b")])[0]
    model.others["modules.json"] = "[\(transformer),\(pooling),\(normalize)]"
    let scaled = try model.load().embed([plain.tokenize("a b")])[0]
    #expect(abs(Golden.cosine(first, scaled) - 1) < 1e-9)
    #expect(abs(scaled.reduce(0) { $0 + $1 * $1 } - 1) < 1e-6 && abs(first.reduce(0) { $0 + $1 * $1 } - 1) > 1e-3)
    model.others["1_Pooling/config.json"] = #"{"pooling_mode_mean_tokens":true}"#
    let mean = try model.load().embed([plain.tokenize("a b")])[0]
    #expect(Golden.cosine(mean, scaled) < 0.9999)
  }

  @Test("pieces: longest first, unknown words whole, added tokens from the raw text, cut with a flag")
  func pieces() throws {
    let tokenizer = try Tokenizer(files: TinyModel().files)
    #expect(tokenizer.tokenize("unable abc Éa [CLS]. xab").ids == [2, 10, 11, 5, 8, 9, 1, 2, 13, 1, 3])
    #expect(tokenizer.tokenize("") == TokenizedInput(ids: [2, 3], truncated: false))
    #expect(tokenizer.tokenize(String(repeating: "a ", count: 22)).truncated == false)
    let cut = tokenizer.tokenize(String(repeating: "a ", count: 23))
    #expect(cut.truncated && cut.ids.count == 24 && cut.ids.last == 3)
    #expect(tokenizer.maximumTokens == 24)
  }

  @Test("a folder says what it is, which files it needs, and why it is refused")
  func folder() throws {
    let manager = FileManager.default
    let directory = manager.temporaryDirectory.appending(path: "tiny-model-\(UInt64.random(in: 0 ... .max))")
    try manager.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? manager.removeItem(at: directory) }
    let folder = ModelFolder(path: directory.path)
    func write(_ name: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: directory.appending(path: name)) }
    func refusal() -> String {
      do { return "\(try folder.describe())" } catch { return error.description }
    }
    let model = TinyModel()
    #expect(refusal().hasPrefix("config.json: is missing"))
    try write("config.json", Array(model.config.utf8))
    #expect(refusal() == "tokenizer.json: is missing, and so is vocab.txt")
    try write("tokenizer.json", Array(model.tokenizer.utf8))
    try write("README.md", [1, 2, 3])
    #expect(refusal().hasPrefix("model.safetensors: is missing; pickled weights"))
    let weights = model.weights()
    try write("model.safetensors", weights.dropLast())
    #expect(refusal().hasPrefix("model.safetensors: tensor `"))
    try write("model.safetensors", weights)
    let description = try folder.describe()
    #expect(description.parts.map(\.name) == ["config.json", "model.safetensors", "tokenizer.json"])
    #expect(description.parts.map(\.role) == [.clear, .weights, .clear])
    #expect(description.parts[1].size == weights.count)
    #expect((description.dimensions, description.maximumTokens, description.layers) == (32, 24, 1))
    #expect(description.elementTypes == ["F32"] && description.operations == ["embed"])
  }

  @Test("the real model's folder needs these files", .enabled(if: Golden.hasModel, Golden.skip))
  func realFolder() throws {
    let description = try ModelFolder(path: try Need.model.require().path).describe()
    #expect(
      description.parts.map(\.name) == [
        "1_Pooling/config.json", "config.json", "config_sentence_transformers.json", "model.safetensors",
        "modules.json", "sentence_bert_config.json",
        "tokenizer.json", "tokenizer_config.json",
      ])
    #expect(description.maximumTokens == 256 && description.dimensions == 384 && description.parameters > 22_000_000)
  }
}
