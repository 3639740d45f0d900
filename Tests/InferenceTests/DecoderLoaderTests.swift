import FoundationEssentials
import TestSupport
import Testing

@testable import Inference

/// Weight files that arrive in pieces, as a worker gets them.
@Suite("Decoders are packed as their bytes arrive")
struct DecoderLoaderTests {
  private static func feed(_ stream: any WeightStream, _ bytes: [UInt8], pieces: Int) throws {
    for start in stride(from: 0, to: bytes.count, by: pieces) {
      try bytes[start..<min(start + pieces, bytes.count)].withUnsafeBytes { try stream.append($0) }
    }
    try stream.finish()
  }

  /// The safetensors files of a golden model, in the order of their names.
  private static func files(_ golden: DecoderGolden) throws -> [(name: String, bytes: [UInt8])] {
    let names = try ShardIndex(files: try golden.files(), unless: false)?.shards ?? [WeightsFile.name]
    return try names.map { ($0, Array(try Data(contentsOf: golden.folder.appending(path: $0)))) }
  }

  private static func shards(_ golden: DecoderGolden, _ precision: Precision, pieces: Int) throws -> DecoderModel {
    let files = try golden.files()
    let config = try DecoderConfig(files: files)
    let shards = DecoderShards(
      config: config, precision: precision, index: try ShardIndex(files: files, unless: false))
    for file in try Self.files(golden) {
      try feed(
        SafetensorsStream(file: file.name, fileSize: file.bytes.count, receiver: shards), file.bytes, pieces: pieces)
    }
    return DecoderModel(config: config, weights: try shards.weights(), precision: precision)
  }

  @Test(
    "safetensors files in pieces of any length give the bits of whole ones",
    arguments: DecoderGolden.all, [Precision.fp32, .bf16])
  func pieces(_ golden: DecoderGolden, precision: Precision) throws {
    let ids = try golden.items()[2].ids
    let whole = DecoderRun(try golden.model(precision))
    let wanted = whole.logits(ids[...], at: 0, pages: whole.pages(ids.count))
    for pieces in [613, 1 << 20] {
      let run = DecoderRun(try Self.shards(golden, precision, pieces: pieces))
      #expect(run.logits(ids[...], at: 0, pages: run.pages(ids.count)) == wanted)
      #expect(run.model.weights.elementTypes == whole.model.weights.elementTypes)
    }
  }

  @Test("a shorter context is kept to, and a longer one than the model's is refused")
  func context() throws {
    let weights = try DecoderGolden(name: "llama-q8_0").weights()
    #expect(try GenerationModel(weights, contextLength: 64).contextLength == 64)
    for context in [7, 257] {
      #expect(throws: ModelError.self) { try GenerationModel(weights, contextLength: context) }
    }
    let files = try TinyDecoder().files()
    func loader(_ context: Int?) throws -> DecoderLoader {
      try DecoderLoader(files: files, precision: .bf16, weightFiles: [WeightsFile.name], contextLength: context)
    }
    let made = try loader(100)
    try Self.feed(
      try made.stream(WeightsFile.name, size: TinyDecoder().weights().count), TinyDecoder().weights(), pieces: 999)
    let model = try made.finish()
    #expect(model.contextLength == 100 && model.template != nil && model.elementTypes == ["BF16"])
    #expect(throws: ModelError.self) { try loader(TinyDecoder.contextLength + 1) }
    #expect(throws: ModelError.self) { try made.stream(WeightsFile.name, size: 1) }
  }

  @Test("int8, and other files than the model's, are refused before a byte is read")
  func notDecoders() throws {
    let files = try TinyDecoder().files()
    for (precision, names) in [
      (Precision.int8, [WeightsFile.name]), (.bf16, ["other.safetensors"]), (.bf16, []),
      (.bf16, [WeightsFile.name, "other.safetensors"]),
    ] {
      #expect(throws: ModelError.self) { try DecoderLoader(files: files, precision: precision, weightFiles: names) }
    }
  }

  /// What is said of the weights of `llama` when bytes of them are others.
  private static func refusal(_ change: (inout [UInt8]) -> Void, size: Int? = nil) throws -> String {
    let golden = DecoderGolden(name: "llama")
    var bytes = try Self.files(golden)[0].bytes
    change(&bytes)
    let config = try DecoderConfig(files: try golden.files())
    let shards = DecoderShards(config: config, precision: .bf16, index: nil)
    do {
      let stream = SafetensorsStream(file: WeightsFile.name, fileSize: size ?? bytes.count, receiver: shards)
      try feed(stream, bytes, pieces: 1000)
      _ = try shards.weights()
      return "accepted"
    } catch let error as ModelError {
      return error.description
    }
  }

  private static func replace(_ old: String, by new: String) -> (inout [UInt8]) -> Void {
    { bytes in
      guard let range = bytes.firstRange(of: Array(old.utf8)), old.utf8.count == new.utf8.count else { return }
      bytes.replaceSubrange(range, with: new.utf8)
    }
  }

  @Test("hostile files end in a reason that names the tensor")
  func hostile() throws {
    #expect(try Self.refusal { _ in } == "accepted")
    for (old, new, reason) in [
      ("model.norm.weight", "model.nirm.weight", "model.norm.weight` is missing"),
      (#""dtype":"F32""#, #""dtype":"I32""#, "is I32; F32, F16 and BF16 are supported"),
      (#""shape":[100,48]"#, #""shape":[48,100]"#, "has shape [48, 100], where [100, 48] was due"),
    ] {
      let said = try Self.refusal(Self.replace(old, by: new))
      #expect(said.contains(reason), "\(said)")
    }
    let poisoned = try Self.refusal { $0.replaceSubrange($0.count - 4..<$0.count, with: [0, 0, 0xc0, 0x7f]) }
    #expect(poisoned.contains("holds an infinity or a NaN"))
    let whole = try Self.files(DecoderGolden(name: "llama"))[0].bytes.count
    #expect(try Self.refusal({ $0.removeLast(10) }, size: whole).contains("ends at"))
    #expect(try Self.refusal({ $0.append(0) }, size: whole).contains("is longer than"))
    #expect(try Self.refusal({ $0 = Array($0.prefix(5)) }).contains("ends at"))
    #expect(try Self.refusal({ $0.replaceSubrange(0..<8, with: [UInt8](repeating: 255, count: 8)) }).contains("header"))
  }

  @Test("a tensor that another shard has, or that the index does not name, is refused; so is a shard that is missing")
  func shards() throws {
    let golden = DecoderGolden(name: "llama-biased")
    let files = try golden.files()
    let config = try DecoderConfig(files: files)
    let all = try Self.files(golden)
    func read(_ order: [(name: String, index: Int)]) throws {
      let shards = DecoderShards(config: config, precision: .bf16, index: try ShardIndex(files: files, unless: false))
      for (name, index) in order {
        let bytes = all[index].bytes
        try Self.feed(
          SafetensorsStream(file: name, fileSize: bytes.count, receiver: shards), bytes, pieces: 4096)
      }
      _ = try shards.weights()
    }
    try read(all.indices.reversed().map { (all[$0].name, $0) })
    #expect(throws: ModelError.self) { try read(all.indices.dropLast().map { (all[$0].name, $0) }) }
    #expect(throws: ModelError.self) { try read(all.indices.map { (all[$0].name, 0) }) }
    #expect(throws: ModelError.self) { try read([(all[0].name, 0), (all[0].name, 0)]) }
  }
}

extension TinyDecoder {
  fileprivate func files() throws -> ModelFiles { ModelFiles(clearFiles) }
}
