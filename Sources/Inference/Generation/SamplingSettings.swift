/// How each next token is chosen, and when a sequence ends.
package struct SamplingSettings: Sendable, Equatable {
  /// What logits are divided by; 0 takes the most likely token.
  package var temperature: Double
  /// Only so many of the most likely tokens are drawn from; 0 for all.
  package var topK: Int
  /// Only the most likely tokens that have this probability together, of those that `topK` left; 1 for all.
  package var topP: Double
  /// Only tokens of at least this share of the most likely one's probability; 0 for all.
  package var minP: Double
  /// Together with the item's name it decides what is drawn.
  package var seed: UInt64
  /// Tokens of the output at most; the model's context may allow fewer.
  package var maximumTokens: Int
  /// Texts before which the output ends.
  package var stops: [String]

  package static let stopLimit = 16
  package static let stopBytes = 256

  package init(
    temperature: Double = 1, topK: Int = 0, topP: Double = 1, minP: Double = 0, seed: UInt64 = 0, maximumTokens: Int,
    stops: [String] = []
  ) {
    (self.temperature, self.topK, self.topP, self.minP) = (temperature, topK, topP, minP)
    (self.seed, self.maximumTokens, self.stops) = (seed, maximumTokens, stops)
  }

  /// What is wrong with them, naming the setting; nil when nothing is.
  package var fault: String? {
    guard temperature >= 0, temperature <= 100 else { return "temperature must be from 0 to 100" }
    guard topK >= 0 else { return "top_k must not be negative" }
    guard topP > 0, topP <= 1 else { return "top_p must be above 0 and at most 1" }
    guard minP >= 0, minP <= 1 else { return "min_p must be from 0 to 1" }
    guard maximumTokens >= 1 else { return "max_tokens must be 1 at least" }
    guard stops.count <= Self.stopLimit, stops.allSatisfy({ (1...Self.stopBytes).contains($0.utf8.count) }) else {
      return "stop must be at most \(Self.stopLimit) texts of 1 to \(Self.stopBytes) bytes"
    }
    return nil
  }
}
