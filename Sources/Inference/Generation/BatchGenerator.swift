import CBlas

/// Continues many texts at once with one decoder. Each step takes a token of every live sequence, and pieces of the
/// prompts of those that have begun last, in one pass: each weight is read once for all of them. A sequence that has
/// ended makes room for the next at once.
///
/// A result depends on its own request alone, bit for bit: not on its company, its place or the memory that there is.
/// Not for several callers at once.
package final class BatchGenerator {
  /// How much is computed at once. None of it changes a result.
  package struct Limits: Sendable {
    /// Bytes for keys and values of all sequences.
    package var cacheBytes: Int
    /// Tokens of one pass.
    package var tokensPerStep = 256
    /// Sequences at once.
    package var sequences = 64

    package init(cacheBytes: Int) { self.cacheBytes = cacheBytes }
  }

  private let model: DecoderModel
  private let limits: Limits
  private let bytes: TokenBytes
  private let pool: PagePool
  private let activations: DecoderActivations
  /// Tokens of one sequence at most.
  private let context: Int

  private var live: [LiveSequence] = []
  private var shared = SharedPages()
  /// Tokens of the next pass at most. Between two passes a caller may stop, and tells others that it lives: on a large
  /// model, or at the end of a long context, passes get shorter for that.
  private var rows: Int
  private static let (longPass, leastRows) = (Duration.seconds(5), 16)

  /// Pages that live sequences hold or may come to need.
  private var reserved: Int { live.reduce(shared.pinned) { $0 + $1.reserved } }
  /// Tokens that were computed since the generator was made, those of prompts included: fewer than texts have where
  /// prompts begin alike.
  package private(set) var computedTokens = 0

  /// - Parameters:
  ///   - bytes: what each token adds to a text.
  ///   - threads: at most so many; 0 takes the processors that there are.
  init(_ model: DecoderModel, bytes: TokenBytes, limits: Limits, threads: Int) {
    var limits = limits
    limits.sequences = max(1, limits.sequences)
    limits.tokensPerStep = max(limits.sequences, limits.tokensPerStep)
    (self.model, self.bytes, self.limits, rows) = (model, bytes, limits, limits.tokensPerStep)
    pool = PagePool(config: model.config, precision: model.precision, bytes: limits.cacheBytes)
    context = min(model.config.contextLength, pool.limit * PagePool.tokens + 1)
    activations = DecoderActivations(
      config: model.config, weights: model.weights, rows: limits.tokensPerStep, logitRows: limits.sequences,
      context: context, threads: threads > 0 ? threads : ThreadPool.processors)
  }

  /// Continues all texts; results are in the requests' order.
  package func run(_ requests: [GenerationRequest]) -> [Result<Generation, GenerationFailure>] {
    var results = [Result<Generation, GenerationFailure>?](repeating: nil, count: requests.count)
    var next = 0
    run {
      guard next < requests.count else { return .over }
      next += 1
      return .request(requests[next - 1])
    } finish: { index, result in
      results[index] = result
    } afterStep: {
    }
    return results.map { $0 ?? .failure(.badPrompt) }
  }

  /// What there is to be continued next.
  package enum Next {
    case request(GenerationRequest)
    /// Nothing before one that is at work has ended.
    case later
    /// Nothing any more.
    case over
  }

  /// Continues texts for as long as `next` gives more, and gives each result to `finish` with the request's number as
  /// soon as it is there. Requests begin in their order, and may end in another.
  ///
  /// - Parameter afterStep: called after each pass over the model; where it throws, as where the others do, everything
  ///   that is at work is dropped.
  /// - Throws: what the closures throw.
  package func run(
    next: () throws -> Next, finish: (Int, Result<Generation, GenerationFailure>) throws -> Void,
    afterStep: () throws -> Void
  ) rethrows {
    defer { drop() }
    var (count, waiting, isOver) = (0, LiveSequence?.none, false)
    while true {
      admit: while live.count < limits.sequences {
        if waiting == nil, !isOver {
          switch try next() {
          case .over: isOver = true
          case .later: break admit
          case .request(let request):
            do throws(GenerationFailure) {
              waiting = try admissible(request, index: count)
            } catch {
              try finish(count, .failure(error))
            }
            count += 1
          }
        }
        guard let sequence = waiting else {
          if isOver { break } else { continue }
        }
        guard reserved + sequence.reserved <= pool.limit else { break }
        live.append(sequence)
        waiting = nil
      }
      guard !live.isEmpty else { return }
      let begin = ContinuousClock.now
      for (index, result) in step() { try finish(index, result) }
      if ContinuousClock.now - begin > Self.longPass { rows = max(Self.leastRows, rows / 2) }
      try afterStep()
    }
  }

  /// Gives back what sequences hold that did not come to their end.
  private func drop() {
    while let sequence = live.popLast() { give(sequence) }
  }

  private func give(_ sequence: LiveSequence) {
    for case .some(let page) in sequence.pages.dropFirst(sequence.shared.count) { pool.give(page) }
    for node in sequence.shared { shared.release(node) }
  }

  /// Wipes what is left of texts in memory: call it between jobs.
  package func wipe() {
    for page in shared.removeAll() { pool.give(page) }
    activations.wipe()
  }

  private func admissible(_ request: GenerationRequest, index: Int) throws(GenerationFailure) -> LiveSequence {
    if let fault = request.sampling.fault { throw .badSettings(fault) }
    let prompt = request.prompt.count
    guard prompt > 0, request.prompt.allSatisfy({ (0..<model.config.vocabularySize).contains(Int($0)) }) else {
      throw .badPrompt
    }
    guard prompt < model.config.contextLength else {
      throw .promptTooLong(tokens: prompt, limit: model.config.contextLength)
    }
    let limit = min(request.sampling.maximumTokens, model.config.contextLength - prompt)
    guard prompt + limit <= context else { throw .doesNotFit(tokens: prompt + limit, limit: context) }
    return LiveSequence(index: index, request: request, limit: limit)
  }

  /// One pass, and a token for each sequence whose prompt is read.
  private func step() -> [(index: Int, result: Result<Generation, GenerationFailure>)] {
    var parts: [DecoderStep.Part] = []
    var chosen: [Int] = []
    // Those that only go on come first; what room is left is for prompts, the oldest first.
    var room = rows
    var order: [Int] = []
    var begun: Set<SharedPages.Key> = []
    let (going, reading) = (
      live.indices.filter { live[$0].waiting == 1 }, live.indices.filter { live[$0].waiting > 1 }
    )
    for place in going + reading {
      if live[place].waiting > 1 {
        adopt(place)
        // What another one reads now it can have for nothing in the next step.
        if let key = live[place].nextShared, !begun.insert(key).inserted, live[place].waiting > PagePool.tokens {
          continue
        }
      }
      let count = min(live[place].waiting, room)
      guard count > 0 else { break }
      room -= count
      order.append(place)
      parts.append(part(place, count))
      if live[place].waiting == count { chosen.append(place) }
    }
    model.compute(DecoderStep(parts: parts), using: activations)

    var failed: Set<Int> = []
    for (place, part) in zip(order, parts) {
      live[place].stored += part.tokens.count
      computedTokens += part.tokens.count
      share(place)
    }
    let width = model.weights.head.width
    for (row, place) in chosen.enumerated() {
      let logits = UnsafeBufferPointer(
        start: activations.logits.pointer + row * width, count: model.config.vocabularySize)
      if cb_all_finite(activations.logits.pointer + row * width, model.config.vocabularySize) {
        live[place].choose(logits, ends: model.config.endTokens, bytes: bytes)
      } else {
        failed.insert(place)
      }
    }
    var ended: [(index: Int, result: Result<Generation, GenerationFailure>)] = []
    for place in live.indices.reversed() where live[place].finish != nil || failed.contains(place) {
      let sequence = live.remove(at: place)
      give(sequence)
      ended.append((sequence.index, failed.contains(place) ? .failure(.notFinite) : .success(sequence.result)))
    }
    return ended
  }

  /// The next tokens of a sequence, and pages for them.
  private func part(_ place: Int, _ count: Int) -> DecoderStep.Part {
    let (stored, isLast) = (live[place].stored, live[place].waiting == count)
    while live[place].pages.count < PagePool.pages(stored + count) {
      if pool.available == 0, let page = shared.evict() { pool.give(page) }
      guard let page = pool.take() else { break }  // there is one: it was reserved
      live[place].pages.append(page)
    }
    return DecoderStep.Part(
      tokens: live[place].tokens[stored..<stored + count], position: stored, pages: live[place].pages,
      wantsLogits: isLast)
  }

  /// Takes the pages over that others have computed of the same prompt. One token is left to compute at least: its
  /// logits are wanted.
  private func adopt(_ place: Int) {
    while live[place].stored == live[place].shared.count * PagePool.tokens,
      live[place].stored + PagePool.tokens < live[place].request.prompt.count,
      let key = live[place].nextShared, let found = shared.read(key)
    {
      live[place].pages.append(found.page)
      live[place].shared.append(found.node)
      live[place].stored += PagePool.tokens
    }
  }

  /// Lets others have the pages of the prompt that are computed, or has theirs instead.
  private func share(_ place: Int) {
    while (live[place].shared.count + 1) * PagePool.tokens <= live[place].stored, let key = live[place].nextShared,
      let page = live[place].pages[live[place].shared.count]
    {
      if let node = shared.share(page, key) {
        live[place].shared.append(node)
      } else if let found = shared.read(key) {
        pool.give(page)
        live[place].pages[live[place].shared.count] = found.page
        live[place].shared.append(found.node)
      }
    }
  }
}
