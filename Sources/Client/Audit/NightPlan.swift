import Wire

/// Stretches of time in each of which a job must have begun.
package struct NightPlan: Sendable {
  /// Nights at most: a century of them.
  package static let limit = 40_000
  /// Beginnings, ascending; each night ends where the next begins. Milliseconds since 1970.
  private let begins: [UInt64]
  private let endMs: UInt64

  /// - Parameters:
  ///   - begins: ascending; those outside the stretch are left out.
  ///   - sinceMs: nights that begin earlier are not asked for.
  ///   - untilMs: the last night's end.
  /// - Throws: ``ClientError`` of kind `usage` when there are none, or too many.
  package init(begins: [UInt64], sinceMs: UInt64, untilMs: UInt64) throws {
    self.begins = begins.filter { $0 >= sinceMs && $0 < untilMs }
    endMs = untilMs
    guard !self.begins.isEmpty else {
      throw ClientError(.usage, "no night lies between --since and --until", remedy: "give another time")
    }
    guard self.begins.count <= Self.limit else { throw Self.tooMany }
  }

  /// Nights of one length, from `sinceMs` on.
  ///
  /// - Throws: ``ClientError`` of kind `usage`.
  package init(everyMs: UInt64, sinceMs: UInt64, untilMs: UInt64) throws {
    guard everyMs > 0, sinceMs < untilMs else {
      throw ClientError(.usage, "--until is not after --since", remedy: "give another time")
    }
    guard (untilMs - sinceMs) / everyMs < UInt64(Self.limit) else { throw Self.tooMany }
    try self.init(
      begins: Array(stride(from: sinceMs, to: untilMs, by: Int(clamping: everyMs))), sinceMs: sinceMs,
      untilMs: untilMs)
  }

  private static let tooMany = ClientError(
    .usage, "more than \(limit) nights", remedy: "give a shorter time, or a longer --expect-every")

  /// How many nights.
  package var count: Int { begins.count }

  /// The nights in which none of these jobs began.
  func empty(startedMs: some Sequence<UInt64>) -> [Range<UInt64>] {
    var isCovered = [Bool](repeating: false, count: begins.count)
    for time in startedMs where time < endMs {
      // The last beginning that is not after it.
      var (low, high) = (0, begins.count)
      while low < high {
        let middle = (low + high) / 2
        if begins[middle] <= time { low = middle + 1 } else { high = middle }
      }
      if low > 0 { isCovered[low - 1] = true }
    }
    return begins.indices.filter { !isCovered[$0] }.map { index in
      begins[index]..<(index + 1 < begins.count ? begins[index + 1] : endMs)
    }
  }
}
