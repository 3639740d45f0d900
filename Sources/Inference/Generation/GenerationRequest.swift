/// One text to be continued.
package struct GenerationRequest: Sendable {
  /// The tokens of the text so far, special ones included; one at least.
  package var prompt: [Int32]
  /// What names the item among those of a job: it decides, with the seed, what is drawn.
  package var item: String
  package var sampling: SamplingSettings
  /// What the output must look like; nil for no rule.
  package var constraint: (any TokenConstraint)?
  /// Whether tokens that end a text are never taken: the output has `maximumTokens` then, or ends at a stop.
  package var ignoresEnd = false

  package init(
    prompt: [Int32], item: String, sampling: SamplingSettings, constraint: (any TokenConstraint)? = nil
  ) {
    (self.prompt, self.item, self.sampling, self.constraint) = (prompt, item, sampling, constraint)
  }
}

/// What a text was continued with.
package struct Generation: Sendable, Equatable {
  /// Why an output ended.
  package enum FinishReason: String, Sendable {
    /// The model ended it, a stop was found, or the constraint allowed nothing further.
    case stop
    /// It has as many tokens as were asked for, or as the model's context has room for.
    case length
  }

  /// The output's tokens, without the one that ended it; those of a stop are among them.
  package let tokens: [Int32]
  /// The output's text, without the stop.
  package let text: String
  package let finish: FinishReason
  /// Tokens that were read.
  package let promptTokens: Int
  /// Tokens that were made, the one that ended the output included.
  package let outputTokens: Int
}

/// Why a text was not continued. It concerns this item alone.
package enum GenerationFailure: Error, Equatable, CustomStringConvertible {
  /// A setting is out of its range.
  case badSettings(String)
  /// The prompt has no token, or an id that the vocabulary lacks.
  case badPrompt
  /// The prompt leaves no room for a token of output.
  case promptTooLong(tokens: Int, limit: Int)
  /// Prompt and output together need more memory than there is for all sequences.
  case doesNotFit(tokens: Int, limit: Int)
  /// The numbers ran over: a logit is infinite or not a number.
  case notFinite

  package var description: String {
    switch self {
    case .badSettings(let fault): fault
    case .badPrompt: "the prompt is empty, or has a token that the model does not know"
    case .promptTooLong(let tokens, let limit):
      "the prompt has \(tokens) tokens; the model reads \(limit) and needs room for one more"
    case .doesNotFit(let tokens, let limit):
      "prompt and output may have \(tokens) tokens together; there is memory for \(limit)"
    case .notFinite: "the model's numbers ran over"
    }
  }
}
