/// One item while its output is made: its tokens, its pages, and what is left to read.
struct LiveSequence {
  let index: Int
  let request: GenerationRequest
  /// Prompt and output.
  private(set) var tokens: [Int32]
  /// Tokens whose keys and values are stored.
  var stored = 0
  var pages: [UnsafeMutableRawPointer?] = []
  /// What the first of its pages are among the shared ones.
  var shared: [Int] = []
  /// Pages that it may come to need.
  private let needed: Int
  /// Tokens of output at most.
  let limit: Int
  private(set) var finish: Generation.FinishReason?
  private var ended = false
  private var constraint: (any TokenConstraint)?
  private var assembler: TextAssembler

  init(index: Int, request: GenerationRequest, limit: Int) {
    (self.index, self.request, self.limit) = (index, request, limit)
    tokens = request.prompt
    // The last token's keys and values are never asked for.
    needed = PagePool.pages(request.prompt.count + limit - 1)
    constraint = request.constraint
    assembler = TextAssembler(stops: request.sampling.stops)
  }

  /// Pages of its own that it has or may come to need.
  var reserved: Int { needed - shared.count }

  /// The next page of the prompt that may be shared; nil when the prompt does not fill it.
  var nextShared: SharedPages.Key? {
    let start = shared.count * PagePool.tokens
    guard start + PagePool.tokens <= request.prompt.count else { return nil }
    return SharedPages.Key(
      parent: shared.last ?? SharedPages.root, tokens: request.prompt[start..<start + PagePool.tokens])
  }

  /// Tokens that must be computed before the next can be chosen; one when the prompt is read.
  var waiting: Int { tokens.count - stored }
  var outputTokens: Int { tokens.count - request.prompt.count }

  /// Chooses the next token, or ends the sequence.
  ///
  /// - Parameter ends: tokens that end a text.
  mutating func choose(_ logits: UnsafeBufferPointer<Float>, ends: [Int32], bytes: TokenBytes) {
    var allowed: TokenMask?
    if constraint != nil {
      var mask = TokenMask(count: logits.count)
      constraint?.allowed(into: &mask)
      let mayEnd = constraint?.mayEnd ?? true
      for end in ends { if mayEnd, !request.ignoresEnd { mask.insert(end) } else { mask.remove(end) } }
      allowed = mask
    } else if request.ignoresEnd {
      var mask = TokenMask(count: logits.count)
      for id in 0..<Int32(logits.count) { mask.insert(id) }
      for end in ends { mask.remove(end) }
      allowed = mask
    }
    let random = Philox.uniform(
      seed: request.sampling.seed, item: request.item, step: UInt32(truncatingIfNeeded: outputTokens))
    guard let token = Sampler(settings: request.sampling).choose(logits, allowed: allowed, random: random) else {
      finish = .stop
      return
    }
    if ends.contains(token) {
      (ended, finish) = (true, .stop)
      return
    }
    tokens.append(token)
    constraint?.advance(token)
    assembler.append(bytes[token])
    if assembler.isStopped {
      finish = .stop
    } else if outputTokens == limit {
      finish = .length
    }
  }

  var result: Generation {
    Generation(
      tokens: Array(tokens[request.prompt.count...]), text: assembler.text, finish: finish ?? .length,
      promptTokens: request.prompt.count, outputTokens: outputTokens + (ended ? 1 : 0))
  }
}
