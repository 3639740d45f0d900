import FoundationEssentials
import TestSupport

@testable import Inference

/// Small decoders with weights in every type of GGUF's, two layers of 256, and what llama.cpp and transformers make of
/// them: Tests/Vectors/decoders/types.json. The files are drawn here, bit for bit as scripts/golden/decoder_types.py
/// draws them, but one, which llama.cpp's own quantisation made.
struct DrawnDecoder: Sendable {
  struct Item: Sendable {
    let ids: [Int32]
    /// Behind the last id, computed by transformers in fp32 of the exact weights.
    let exact: [Float]
    /// The same by llama.cpp; empty where it computes something else.
    let peer: [Float]
    /// The ids that llama.cpp (or transformers, without it) goes on with, and by how much each led.
    let greedy: [Int32]
    let margins: [Float]
  }

  /// `llama`, `mistral`, `qwen2` or `qwen3`.
  let family: String
  /// A type, or `Q4_K_M`, say.
  let mix: String
  /// The kept file's name; nil for one that is drawn.
  let file: String?
  let items: [Item]

  private static let folder = Checkout.root.appending(path: "Tests/Vectors/decoders")

  static let all: [DrawnDecoder] = {
    let limits = JSONLimits(bytes: 1 << 22, values: 1_000_000)
    let bytes = (try? Data(contentsOf: folder.appending(path: "types.json"))).map(Array.init) ?? []
    func floats(_ value: JSONValue?) -> [Float] { (value?.array ?? []).compactMap { $0.double.map(Float.init) } }
    func ids(_ value: JSONValue?) -> [Int32] { (value?.array ?? []).compactMap { $0.integer.map(Int32.init) } }
    return ((try? JSONValue(parsing: bytes, limits: limits))?.array ?? []).compactMap(\.object).map { entry in
      DrawnDecoder(
        family: entry["family"]?.string ?? "llama", mix: entry["mix"]?.string ?? "Q4_K_M", file: entry["file"]?.string,
        items: (entry["items"]?.array ?? []).compactMap(\.object).map {
          Item(
            ids: ids($0["ids"]), exact: floats($0["exact"]), peer: floats($0["peer"]), greedy: ids($0["greedy"]),
            margins: floats($0["margins"]))
        })
    }
  }()

  var name: String { file ?? "\(family) \(mix)" }

  func model(_ precision: Precision) throws -> DecoderModel {
    let bytes = try file.map { Array(try Data(contentsOf: Self.folder.appending(path: $0))) } ?? drawn()
    let weights = try bytes.withUnsafeBytes { try GGUFWeights($0, file: "model.gguf", check: GenerationModel.check) }
    let config = try DecoderConfig(try weights.header())
    return DecoderModel(config: config, weights: try DecoderWeights(weights, config: config), precision: precision)
  }

  private static let (width, heads, groups, head, layers, window) = (256, 8, 2, 32, 2, 24)
  private static let vocabulary = 100

  /// The second type of a mix is that of the head and, in the last layer, of values and of the last map.
  private func type(_ name: String) -> GGUFTensorType? {
    let last = Self.layers - 1
    let isSecond = ["output", "blk.\(last).attn_v", "blk.\(last).ffn_down"].contains(name)
    let type = mix.hasSuffix("_M") ? isSecond ? "Q6_K" : String(mix.dropLast(2)) : mix
    return GGUFTensorType.allCases.first { $0.name == type }
  }

  private func drawn() -> [UInt8] {
    let arch = family == "mistral" ? "llama" : family
    var file = GGUFFile(architecture: arch)
    for (key, value) in [
      ("context_length", 256), ("embedding_length", Self.width), ("block_count", Self.layers),
      ("feed_forward_length", Self.width), ("attention.head_count", Self.heads),
      ("attention.head_count_kv", Self.groups), ("attention.key_length", Self.head),
      ("attention.value_length", Self.head), ("rope.dimension_count", Self.head),
    ] { file.add("\(arch).\(key)", value) }
    file.add("\(arch).attention.layer_norm_rms_epsilon", Float(1e-6))
    file.add("\(arch).rope.freq_base", Float(10000))
    if family == "mistral" { file.add("\(arch).attention.sliding_window", Self.window) }
    func matrix(_ name: String, _ rows: Int, size: Int) {
      guard let type = type(name) else { return }
      let bytes = Self.draw("\(family) \(mix) \(name).weight", type, rows * Self.width, size: size)
      file.add(tensor: "\(name).weight", [rows, Self.width], type: type.rawValue, bytes)
    }
    func vector(_ name: String, _ count: Int) {
      let key = "\(family) \(mix) \(name)"
      let isBias = name.hasSuffix("bias")
      file.add(
        tensor: name, [count], type: 0, isBias ? Self.draw(key, .f32, count, size: -2) : Self.gains(key, count))
    }
    matrix("token_embd", Self.vocabulary, size: -2)
    vector("output_norm.weight", Self.width)
    matrix("output", Self.vocabulary, size: -4)
    for layer in 0..<Self.layers {
      let (queries, keys) = (Self.heads * Self.head, Self.groups * Self.head)
      for (name, rows) in [
        ("attn_q", queries), ("attn_k", keys), ("attn_v", keys), ("attn_output", Self.width), ("ffn_gate", Self.width),
        ("ffn_up", Self.width), ("ffn_down", Self.width),
      ] { matrix("blk.\(layer).\(name)", rows, size: -4) }
      for name in ["attn_norm", "ffn_norm"] { vector("blk.\(layer).\(name).weight", Self.width) }
      if family == "qwen3" {
        for name in ["attn_q_norm", "attn_k_norm"] { vector("blk.\(layer).\(name).weight", Self.head) }
      }
      if family == "qwen2" {
        for (name, count) in [("q", queries), ("k", keys), ("v", keys)] {
          vector("blk.\(layer).attn_\(name).bias", count)
        }
      }
    }
    return file.bytes
  }

  /// FNV-1a, from which the words of a tensor are drawn.
  private static func generator(_ key: String) -> SeededGenerator {
    SeededGenerator(seed: key.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 })
  }

  /// Norms: from 0.75 to 1.5.
  private static func gains(_ key: String, _ count: Int) -> [UInt8] {
    var generator = generator(key)
    return (0..<count).flatMap { _ in
      let bits = 0x3f40_0000 + UInt32(truncatingIfNeeded: generator.next() & 0x7f_ffff)
      return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
    }
  }

  /// A binary16 number within a block: its place, how far its exponent is under that of the weights' size, and its sign;
  /// nil for one that is drawn.
  private typealias Half = (place: Int, under: Int, sign: UInt16?)

  private static func halves(_ type: GGUFTensorType) -> [Half] {
    switch type {
    case .q4_0: [(0, 3, nil)]
    case .q5_0: [(0, 4, nil)]
    case .q8_0: [(0, 7, nil)]
    case .q6_K: [(208, 11, nil)]
    case .q4_1: [(0, 3, 0), (2, 0, 0x8000)]
    case .q5_1: [(0, 4, 0), (2, 0, 0x8000)]
    case .q4_K: [(0, 9, 0), (2, 6, 0)]
    case .q5_K: [(0, 10, 0), (2, 6, 0)]
    case .f32, .f16, .bf16: []
    }
  }

  /// Numbers of about two to the power of `size`.
  private static func draw(_ key: String, _ type: GGUFTensorType, _ count: Int, size: Int) -> [UInt8] {
    var generator = generator(key)
    let length = count / type.blockLength * type.blockBytes
    var bytes = [UInt8](repeating: 0, count: (length + 7) / 8 * 8)
    bytes.withUnsafeMutableBytes { raw in
      for place in stride(from: 0, to: raw.count, by: 8) {
        raw.storeBytes(of: generator.next().littleEndian, toByteOffset: place, as: UInt64.self)
      }
      switch type {
      case .f32:
        let numbers = raw.bindMemory(to: UInt32.self)
        for place in 0..<count {
          numbers[place] = numbers[place] & 0x807f_ffff | (UInt32(127 + size) - numbers[place] >> 23 & 3) << 23
        }
      case .f16, .bf16:
        let numbers = raw.bindMemory(to: UInt16.self)
        let (kept, low, bias): (UInt16, UInt16, Int) = type == .f16 ? (0x83ff, 10, 15) : (0x807f, 7, 127)
        for place in 0..<count {
          numbers[place] = numbers[place] & kept | (UInt16(bias + size) - numbers[place] >> low & 3) << low
        }
      default:
        for (place, under, sign) in halves(type) {
          for start in stride(from: place, to: length, by: type.blockBytes) {
            let bits = raw.loadUnaligned(fromByteOffset: start, as: UInt16.self)
            let exponent = UInt16(max(15 + size - under, 0)) << 10
            raw.storeBytes(
              of: bits & 0x3ff | (sign ?? bits & 0x8000) | exponent, toByteOffset: start, as: UInt16.self)
          }
        }
      }
    }
    return Array(bytes.prefix(length))
  }
}
