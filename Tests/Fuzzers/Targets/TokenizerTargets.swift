import Foundation
import Inference

/// Tokenizers whose vocabulary the bytes choose, held to the plainest way of doing the same.
extension FuzzTarget {
  /// A number of merges, two bytes for each, and the letters of a text.
  static let bytePairs = FuzzTarget("byte-pairs", longestBytes: 512, seeds: { TokenizerShapes.bytePairs }) { bytes in
    var input = Scissors(bytes)
    var vocabulary = BytePairVocabulary()
    for _ in 0..<input.byte() % 32 { vocabulary.join(Int(input.byte()), Int(input.byte())) }
    let text = input.all().map { BytePairVocabulary.letters[Int($0) % BytePairVocabulary.letters.count] }.joined()
    let tokenizer = try Tokenizer(files: ModelFiles(["tokenizer.json": vocabulary.file()]), maximumTokens: 1 << 20)
    let ids = tokenizer.tokenize(text).ids.map(Int.init)
    try hold(ids.allSatisfy(vocabulary.tokens.indices.contains), "each id is a token's")
    try hold(
      ids.flatMap { vocabulary.tokens[$0] } == vocabulary.known(text),
      "the tokens hold the text's known bytes, in order")
    try hold(ids == vocabulary.tokenize(text), "pairs are joined by rank, then from the left")
  }

  /// Scores of four letters, a number of pieces, length, letters and score of each, and the letters of a text.
  static let unigram = FuzzTarget("unigram", longestBytes: 512, seeds: { TokenizerShapes.unigram }) { bytes in
    var input = Scissors(bytes)
    var vocabulary = UnigramVocabulary()
    for letter in UnigramVocabulary.letters.dropLast() { vocabulary.add([letter], input.byte()) }
    for _ in 0..<input.byte() % 24 {
      vocabulary.add(
        (0...input.byte() % 5).map { _ in UnigramVocabulary.letter(input.byte(), known: true) }, input.byte())
    }
    let text = input.all().map { UnigramVocabulary.letter($0, known: false) }
    let tokenizer = try Tokenizer(files: ModelFiles(["tokenizer.json": vocabulary.file()]), maximumTokens: 1 << 20)
    var ids = tokenizer.tokenize(text.joined()).ids.map(Int.init)[...]
    try hold(ids.allSatisfy(vocabulary.pieces.indices.contains), "each id is a piece's")
    // Unknown letters part the text into runs that have nothing to do with each other.
    var rest = text[...]
    while let first = rest.first {
      let isUnknown = first == UnigramVocabulary.unknown
      let run = rest.prefix { ($0 == UnigramVocabulary.unknown) == isUnknown }
      rest = rest.dropFirst(run.count)
      guard !isUnknown else {
        try hold(ids.popFirst() == 0, "unknown letters in a row are one token")
        continue
      }
      var (taken, sum) = (0, 0.0)
      while taken < run.count, let id = ids.popFirst(), id != 0 {
        let piece = vocabulary.pieces[id]
        try hold(Array(run.dropFirst(taken).prefix(piece.count)) == piece, "the pieces are the text's")
        (taken, sum) = (taken + piece.count, sum + vocabulary.scores[id])
      }
      try hold(taken == run.count && sum == vocabulary.bestSum(Array(run)), "no other way to part it has a greater sum")
    }
    try hold(ids.isEmpty, "nothing follows the text")
  }
}

/// Byte-level BPE over a few letters.
private struct BytePairVocabulary {
  /// `f` is in no token.
  static let letters = ["a", "b", "c", "d", " ", "é", "f"]

  /// As bytes; the first ones are single.
  private(set) var tokens: [[UInt8]] = "abcd é".utf8.map { [$0] }
  private var merges: [Pair] = []
  private var ranks: [Pair: Int] = [:]

  private struct Pair: Hashable {
    let left, right: Int
  }

  mutating func join(_ left: Int, _ right: Int) {
    let pair = Pair(left: left % tokens.count, right: right % tokens.count)
    let joined = tokens[pair.left] + tokens[pair.right]
    guard joined.count <= 48, ranks[pair] == nil else { return }
    if !tokens.contains(joined) { tokens.append(joined) }
    ranks[pair] = merges.count
    merges.append(pair)
  }

  /// The text's bytes that some token has.
  func known(_ text: String) -> [UInt8] { text.utf8.filter { $0 != UInt8(ascii: "f") } }

  /// Joins one pair after the other, looking at all of them each time.
  func tokenize(_ text: String) -> [Int] {
    var ids = known(text).compactMap { tokens.firstIndex(of: [$0]) }
    while true {
      var (least, place) = (Int.max, 0)
      for at in ids.indices.dropLast() {
        if let rank = ranks[Pair(left: ids[at], right: ids[at + 1])], rank < least { (least, place) = (rank, at) }
      }
      guard least != .max else { return ids }
      let joined = tokens[ids[place]] + tokens[ids[place + 1]]
      ids.replaceSubrange(place...place + 1, with: [tokens.firstIndex(of: joined) ?? 0])
    }
  }

  func file() throws -> [UInt8] {
    let names = tokens.map(Self.shown)
    let vocabulary = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    let json: [String: Any] = [
      "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
      "model": ["type": "BPE", "vocab": vocabulary, "merges": merges.map { [names[$0.left], names[$0.right]] }],
    ]
    return Array(try JSONSerialization.data(withJSONObject: json, options: .sortedKeys))
  }

  /// A byte as the file writes it: a blank is Ġ, é's two bytes stand for themselves as scalars.
  private static func shown(_ token: [UInt8]) -> String {
    String(String.UnicodeScalarView(token.map { Unicode.Scalar($0 == 0x20 ? 0x120 : UInt32($0)) ?? " " }))
  }
}

/// Unigram over four letters and one that is unknown.
private struct UnigramVocabulary {
  static let letters = ["a", "b", "c", "é", "z"]
  static let unknown = "z"

  /// As letters; the first is the unknown token.
  private(set) var pieces: [[String]] = [["<unk>"]]
  /// Eighths, whose sums are exact.
  private(set) var scores = [0.0]

  static func letter(_ byte: UInt8, known: Bool) -> String { letters[Int(byte) % (letters.count - (known ? 1 : 0))] }

  mutating func add(_ piece: [String], _ score: UInt8) {
    guard !pieces.contains(piece) else { return }
    pieces.append(piece)
    scores.append(-Double(score) / 8)
  }

  /// The greatest sum of any way to part letters into pieces.
  func bestSum(_ run: [String]) -> Double {
    var best = [0.0] + [Double](repeating: -.infinity, count: run.count)
    for end in 1...run.count {
      for (piece, score) in zip(pieces, scores)
      where piece.count <= end && Array(run[..<end].suffix(piece.count)) == piece {
        best[end] = max(best[end], best[end - piece.count] + score)
      }
    }
    return best[run.count]
  }

  func file() throws -> [UInt8] {
    let vocabulary = zip(pieces, scores).map { [$0.joined(), $1] as [Any] }
    let json: [String: Any] = ["model": ["type": "Unigram", "unk_id": 0, "vocab": vocabulary]]
    return Array(try JSONSerialization.data(withJSONObject: json, options: .sortedKeys))
  }
}

private enum TokenizerShapes {
  static let bytePairs: [[UInt8]] = [
    [3, 0, 1, 7, 2, 4, 0, 0, 1, 2, 0, 1, 2, 4, 0, 5, 6], [1, 0, 0] + [UInt8](repeating: 0, count: 60),
    [2, 0, 1, 1, 0] + (0..<80).map { $0 & 1 }, [4, 5, 6, 4, 7, 8, 0, 8, 8, 4, 5, 0, 4, 5, 5, 5], [0],
  ]
  static let unigram: [[UInt8]] = [
    [16, 17, 18, 19, 2, 1, 0, 1, 20, 2, 0, 1, 2, 30, 0, 1, 2, 0, 1, 3, 4, 4, 0, 1],
    [8, 8, 8, 8, 3, 1, 0, 0, 8, 2, 0, 0, 0, 8, 3, 0, 0, 0, 0, 9] + [UInt8](repeating: 0, count: 40),
    [1, 2, 3, 4, 0, 4, 3],
  ]
}
