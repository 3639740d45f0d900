import CBlas

/// Chooses one token by its logits. The same logits, settings and random number give the same token on every machine.
///
/// The order is that of transformers: temperature, then `topK`, `topP` and `minP`. Of equally likely tokens the lower id
/// comes first.
struct Sampler {
  private struct Candidate {
    let id: Int32
    /// The probability, times an unknown factor that all have; the greatest is 1.
    let weight: Double
  }

  let settings: SamplingSettings

  /// - Parameters:
  ///   - logits: finite.
  ///   - allowed: of the vocabulary's size; nil allows all.
  ///   - random: from 0 to below 1.
  /// - Returns: nil when no token is allowed.
  func choose(_ logits: UnsafeBufferPointer<Float>, allowed: TokenMask?, random: Double) -> Int32? {
    guard let best = Self.best(logits, allowed) else { return nil }
    // Where another weight could not be told from 0.
    guard settings.temperature > 1e-6, settings.topK != 1 else { return best }
    let scale = 1 / settings.temperature
    let top = Double(logits[Int(best)])
    if settings.topK == 0, settings.topP == 1, settings.minP == 0 {
      return draw(logits, allowed, top, scale, random) ?? best
    }
    let kept = candidates(logits, allowed, top, scale)
    let total = kept.reduce(0) { $0 + $1.weight }
    var left = random * total
    for candidate in kept {
      left -= candidate.weight
      if left < 0 { return candidate.id }
    }
    return kept.last?.id ?? best
  }

  /// The most likely token.
  private static func best(_ logits: UnsafeBufferPointer<Float>, _ allowed: TokenMask?) -> Int32? {
    guard let allowed else {
      guard let start = logits.baseAddress, !logits.isEmpty else { return nil }
      return Int32(clamping: min(cb_first_greatest(start, logits.count), logits.count - 1))
    }
    var best: Int?
    for (index, word) in allowed.words.enumerated() {
      var rest = word
      while rest != 0 {
        let id = index * 64 + rest.trailingZeroBitCount
        rest &= rest - 1
        if best.map({ logits[id] > logits[$0] }) ?? true { best = id }
      }
    }
    return best.map { Int32($0) }
  }

  private func weight(_ logit: Float, _ top: Double, _ scale: Double) -> Double {
    ExactMath.exp((Double(logit) - top) * scale)
  }

  /// A token of all that are allowed.
  private func draw(
    _ logits: UnsafeBufferPointer<Float>, _ allowed: TokenMask?, _ top: Double, _ scale: Double, _ random: Double
  ) -> Int32? {
    withWeights(logits, allowed, top, scale) { weights, total in
      Int32(clamping: min(cb_draw(weights, logits.count, random * total), logits.count - 1))
    }
  }

  /// Calls `body` with the weights of all tokens, zeros for those that are not allowed, and their sum.
  private func withWeights<Result>(
    _ logits: UnsafeBufferPointer<Float>, _ allowed: TokenMask?, _ top: Double, _ scale: Double,
    _ body: (_ weights: UnsafePointer<Double>, _ total: Double) -> Result
  ) -> Result? {
    withUnsafeTemporaryAllocation(of: Double.self, capacity: logits.count) { room in
      guard let start = logits.baseAddress, let weights = room.baseAddress else { return nil }
      cb_exponentials(start, logits.count, top, scale, weights)
      if let allowed {
        for (index, word) in allowed.words.enumerated() where word != .max {
          let first = index * 64
          if word == 0 {
            (weights + first).update(repeating: 0, count: min(64, logits.count - first))
          } else {
            for id in first..<min(first + 64, logits.count) where !allowed.contains(Int32(id)) { weights[id] = 0 }
          }
        }
      }
      return body(weights, cb_total(weights, logits.count))
    }
  }

  /// The tokens that the settings leave, the most likely first.
  private func candidates(
    _ logits: UnsafeBufferPointer<Float>, _ allowed: TokenMask?, _ top: Double, _ scale: Double
  ) -> [Candidate] {
    var total = 0.0
    if settings.topK == 0, settings.topP < 1 {
      total = withWeights(logits, allowed, top, scale) { $1 } ?? 0
    }
    // Sorting a whole vocabulary would take longer than the model: only the head of it is looked at, and more if that
    // does not suffice.
    var depth = 8.0
    while true {
      let isAll = depth > 800
      let floor = isAll ? -Double.infinity : top - depth / scale
      var some: [Candidate] = []
      for id in logits.indices where Double(logits[id]) >= floor && (allowed?.contains(Int32(id)) ?? true) {
        some.append(Candidate(id: Int32(id), weight: weight(logits[id], top, scale)))
      }
      some.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.id < $1.id }
      let isEnough = isAll || (settings.topK == 0 || some.count >= settings.topK)
      if settings.topK > 0 {
        some.removeSubrange(min(settings.topK, some.count)...)
        total = some.reduce(0) { $0 + $1.weight }
      }
      if isEnough, let kept = cut(some, of: total, isAll: isAll) { return kept }
      depth *= 4
    }
  }

  /// What `topP` and `minP` leave of the most likely tokens; nil when more are needed to tell.
  private func cut(_ some: [Candidate], of total: Double, isAll: Bool) -> [Candidate]? {
    var kept = some
    if settings.topP < 1 {
      var (sum, count) = (0.0, 0)
      while count < some.count, sum < settings.topP * total {
        sum += some[count].weight
        count += 1
      }
      guard isAll || settings.topK > 0 || sum >= settings.topP * total else { return nil }
      kept.removeSubrange(max(count, 1)...)
    } else if settings.topK == 0, !isAll, settings.minP < ExactMath.exp(-8) {
      return nil  // minP alone, and below what was looked at
    }
    let end = kept.firstIndex { $0.weight < settings.minP } ?? kept.count
    return Array(kept.prefix(max(end, 1)))
  }
}
