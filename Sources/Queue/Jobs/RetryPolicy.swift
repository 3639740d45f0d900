/// When a job that met a fault is tried again: exponential, capped, with full jitter.
package struct RetryPolicy: Sendable {
  /// Strikes after which a job is not run again.
  package let strikeLimit: Int64
  /// Faults that a job may meet before those that only may be its own doing count as strikes: with the default waits
  /// about half a day.
  package let patience: Int64
  /// The first attempt's largest wait.
  package let base: Duration
  /// The largest wait of all.
  package let cap: Duration

  package init(
    strikeLimit: Int64 = 6, patience: Int64 = 144, base: Duration = .seconds(2), cap: Duration = .seconds(600)
  ) {
    self.strikeLimit = max(1, strikeLimit)
    self.patience = max(0, patience)
    self.base = base
    self.cap = cap
  }

  /// The wait after the `faults`-th fault in a row: uniform between zero and `min(cap, base · 2^(faults-1))`.
  package func wait(afterFaults faults: Int64, random: any RandomSource) -> Duration {
    .milliseconds(random.upTo(ceiling(afterFaults: faults).wholeMilliseconds))
  }

  /// The upper end of the wait after the `faults`-th fault in a row.
  package func ceiling(afterFaults faults: Int64) -> Duration {
    let limit = cap.wholeMilliseconds
    var ceiling = max(0, base.wholeMilliseconds)
    for _ in 1..<max(2, min(faults, 63)) where faults > 1 {
      if ceiling >= limit { break }
      ceiling = ceiling > Int64.max / 2 ? limit : ceiling * 2
    }
    return .milliseconds(min(ceiling, limit))
  }

  /// Whether a fault is a strike for a job that has met `faults` of them, this one included.
  package func isStrike(_ fault: FaultClass, afterFaults faults: Int64) -> Bool {
    fault.isStrike || fault.isStrikeInTheEnd && faults > patience
  }
}
