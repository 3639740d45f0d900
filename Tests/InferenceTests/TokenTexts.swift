import FoundationEssentials
import TestSupport

@testable import Inference

/// The tokenizers of Tests/Vectors/tokenizers and the texts that were given to them. scripts/golden/token_ids.py draws
/// the same texts from the same seed.
enum TokenTexts {
  private static let folder = Checkout.root.appending(path: "Tests/Vectors/tokenizers")
  /// Texts of one digest.
  static let block = 20

  static func file(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: folder.appending(path: name))) }

  static func tokenizer(
    _ json: [UInt8], maximumTokens: Int = 1 << 20, side: String = "right", decodes: Bool = false
  ) throws -> Tokenizer {
    let config = Array(#"{"truncation_side":"\#(side)"}"#.utf8)
    return try Tokenizer(
      files: ModelFiles(["tokenizer.json": json, "tokenizer_config.json": config]), maximumTokens: maximumTokens,
      decodes: decodes)
  }

  /// What Hugging Face's tokenizers gave, by the name of the run.
  static let digests = digests(in: "digests.txt")

  static func digests(in name: String) -> [String: [String]] {
    let lines = String(decoding: (try? file(name)) ?? [], as: UTF8.self).split(separator: "\n")
    return Dictionary(
      uniqueKeysWithValues: lines.map { line in
        let words = line.split(separator: " ").map(String.init)
        return (words[0], Array(words.dropFirst()))
      })
  }

  static let all: [String] = {
    let limits = JSONLimits(bytes: 1 << 20, values: 2000)
    guard let json = try? JSONValue(parsing: (try? file("pieces.json")) ?? [], limits: limits) else { return [] }
    let pieces = (json.array ?? []).compactMap(\.string)
    var random = Draw(generator: SeededGenerator(seed: 20_260_402))
    return (0..<20_000).map { _ in text(pieces, &random) }
  }()

  private struct Draw {
    var generator: SeededGenerator
    mutating func below(_ count: Int) -> Int { Int(generator.next() % UInt64(count)) }

    mutating func scalar(_ low: Int, _ count: Int) -> String {
      String(Unicode.Scalar(UInt32(low + below(count))).map(Character.init) ?? "\u{fffd}")
    }
  }

  private static func text(_ pieces: [String], _ random: inout Draw) -> String {
    var text = ""
    for _ in 0..<1 + random.below(12) {
      switch random.below(20) {
      case 0..<13: text += pieces[random.below(pieces.count)]
      case 13..<16: text += " "
      case 16: text += random.scalar(0, 0x110000)
      case 17: text += random.scalar(0, 0x3000)
      case 18: text += random.scalar(0x300, 0x70)
      default:
        let piece = pieces[random.below(pieces.count)]
        let most = random.below(20) == 0 ? 200 : 4
        text += String(repeating: piece, count: 1 + random.below(most))
      }
    }
    return text
  }

  /// FNV-1a over the ids and segments of each block of texts.
  static func digests(of inputs: [TokenizedInput]) -> [String] {
    digests(inputs) { input, add in
      add(input.ids.count)
      for place in input.ids.indices {
        add(Int(input.ids[place]) | (input.segments.isEmpty ? 0 : Int(input.segments[place]) << 24))
      }
    }
  }

  /// FNV-1a over the bytes of each block of texts, a zero behind each.
  static func digests(ofTexts texts: [String]) -> [String] {
    digests(texts) { text, add in
      for byte in text.utf8 { add(Int(byte)) }
      add(0)
    }
  }

  private static func digests<Item>(_ items: [Item], _ numbers: (Item, (Int) -> Void) -> Void) -> [String] {
    var (digests, hash): ([String], UInt64) = ([], 0xcbf2_9ce4_8422_2325)
    for (index, item) in items.enumerated() {
      numbers(item) { hash = (hash ^ UInt64($0)) &* 0x100_0000_01b3 }
      guard (index + 1) % block == 0 else { continue }
      let digits = String(hash, radix: 16)
      digests.append(String(repeating: "0", count: 16 - digits.count) + digits)
      hash = 0xcbf2_9ce4_8422_2325
    }
    return digests
  }

  /// The numbers of blocks in which a digest differs; −1 when there are not as many blocks.
  static func wrongBlocks(_ inputs: [TokenizedInput], _ name: String) -> [Int] {
    let (ours, theirs) = (digests(of: inputs), digests[name] ?? [])
    guard ours.count == theirs.count, !ours.isEmpty else { return [-1] }
    return ours.indices.filter { ours[$0] != theirs[$0] }
  }
}
