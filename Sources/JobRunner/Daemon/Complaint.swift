/// A trouble that lasts is said once, again when its words change, and every ten minutes.
struct Complaint {
  private static let repeatAfter = Duration.seconds(600)
  private var words = ""
  private var saidAt: ContinuousClock.Instant?

  /// Whether `words` should be said now.
  mutating func isDue(_ words: String) -> Bool {
    let now = ContinuousClock.now
    if let saidAt, words == self.words, now - saidAt < Complaint.repeatAfter { return false }
    self.words = words
    saidAt = now
    return true
  }

  /// The trouble is over.
  mutating func clear() { saidAt = nil }
}
