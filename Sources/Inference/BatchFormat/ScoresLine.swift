extension OutputLine {
  /// The scores of an item: of each label of a classification, or the one of a pair. `index` is the item's place in the
  /// input, from 0, and makes the line's `id`.
  package struct ScoresLine: Sendable, Equatable {
    /// One label and its score.
    package struct Entry: Sendable, Equatable {
      package let label: String
      package let score: Float

      package init(label: String, score: Float) {
        self.label = label
        self.score = score
      }
    }

    package let index: Int
    /// The item's id.
    package let customID: String
    package let model: String
    /// One, without a name, for a score; for a classification one for each label, in the model's order.
    package let scores: [Entry]
    /// Whether it is a classification.
    package let isClassification: Bool
    /// Tokens that were computed.
    package let tokens: Int
    /// Whether an end of the input was cut off.
    package let truncated: Bool

    /// - Parameter labels: in the order of the scores; nil for the score of a pair.
    package init(
      index: Int, customID: String, model: String, scores: [Float], labels: [String]?, tokens: Int, truncated: Bool
    ) {
      self.index = index
      self.customID = customID
      self.model = model
      self.scores = scores.enumerated().map { place, score in Entry(label: labels?[place] ?? "", score: score) }
      isClassification = labels != nil
      self.tokens = tokens
      self.truncated = truncated
    }

    /// The label of the highest score, the first of equals.
    package var best: String? { scores.max { $0.score < $1.score }?.label }

    /// The line without its newline. Each score is the shortest number that reads back to the same float.
    package func encoded() -> [UInt8] {
      var json = JSONText(reserving: scores.count * 48 + 512)
      OutputLine.beginResponse(&json, index: index, customID: customID)
      if isClassification {
        json.raw("{\"object\":\"classification\",\"index\":0,\"label\":")
        json.string(best ?? "")
        json.raw(",\"scores\":[")
        for (place, entry) in scores.enumerated() {
          json.raw(place == 0 ? "{\"label\":" : ",{\"label\":")
          json.string(entry.label)
          json.raw(",\"score\":\(entry.score)}")
        }
        json.raw("]")
      } else {
        json.raw("{\"object\":\"score\",\"index\":0,\"score\":\(scores.first?.score ?? 0)")
      }
      OutputLine.endResponse(&json, model: model, tokens: tokens, truncated: truncated)
      return json.bytes
    }
  }
}
