/// Where special tokens stand around a text, or around the two texts of a pair, and which segment each token is of.
struct InputTemplate: Sendable, Equatable {
  enum Item: Sendable, Equatable {
    case token(Int32, segment: UInt8)
    /// The first text (0) or the second (1).
    case text(Int, segment: UInt8)
  }

  /// For one text, and for two.
  var single: [Item] = [.text(0, segment: 0)]
  var pair: [Item] = [.text(0, segment: 0), .text(1, segment: 1)]

  /// Special tokens of an input.
  func added(pair isPair: Bool) -> Int {
    (isPair ? pair : single).reduce(0) { if case .token = $1 { $0 + 1 } else { $0 } }
  }

  /// The ids of every special token.
  var ids: [Int32] { (single + pair).compactMap { if case .token(let id, _) = $0 { id } else { nil } } }

  /// Puts an input together.
  func input(_ texts: [ArraySlice<Int32>], truncated: Bool, limit: Int) -> TokenizedInput {
    var (ids, segments): ([Int32], [UInt8]) = ([], [])
    ids.reserveCapacity(texts.reduce(8) { $0 + $1.count })
    let items = texts.count == 2 ? pair : single
    let hasSegments = items.contains {
      if case .token(_, 1...) = $0 { true } else if case .text(_, 1...) = $0 { true } else { false }
    }
    for item in items {
      switch item {
      case .token(let id, let segment):
        ids.append(id)
        if hasSegments { segments.append(segment) }
      case .text(let index, let segment):
        ids.append(contentsOf: texts[index])
        if hasSegments { segments.append(contentsOf: repeatElement(segment, count: texts[index].count)) }
      }
    }
    // Only a model of fewer tokens than its template has comes to this.
    guard ids.count > limit else { return TokenizedInput(ids: ids, truncated: truncated, segments: segments) }
    return TokenizedInput(ids: Array(ids.prefix(limit)), truncated: true, segments: Array(segments.prefix(limit)))
  }
}

/// How a text that is too long is cut, as tokenizer.json and tokenizer_config.json say.
struct Truncation: Sendable, Equatable {
  /// Which end of a text is cut off.
  enum Side: String, Sendable {
    case left = "Left"
    case right = "Right"
  }

  /// Which text of a pair is cut.
  enum Strategy: String, Sendable {
    case longestFirst = "LongestFirst"
    case onlyFirst = "OnlyFirst"
    case onlySecond = "OnlySecond"
  }

  var side = Side.right
  var strategy = Strategy.longestFirst

  /// Tokens of each text that are kept of so many, when there is `room` for both together.
  func kept(_ counts: (Int, Int), room: Int) -> (Int, Int) {
    guard counts.0 + counts.1 > room else { return counts }
    let tooMany = counts.0 + counts.1 - room
    switch strategy {
    case .onlyFirst where counts.0 > tooMany: return (counts.0 - tooMany, counts.1)
    case .onlySecond where counts.1 > tooMany: return (counts.0, counts.1 - tooMany)
    // Where the one text alone cannot make room, both are cut.
    default: break
    }
    let shorter = min(counts.0, counts.1)
    let longer = shorter > room ? shorter : max(shorter, room - shorter)
    let halves = shorter + longer > room ? (room / 2, room / 2 + room % 2) : (shorter, longer)
    return counts.0 > counts.1 ? (halves.1, halves.0) : halves
  }

  func cut(_ ids: [Int32], to count: Int) -> ArraySlice<Int32> {
    side == .right ? ids.prefix(count) : ids.suffix(count)
  }
}
