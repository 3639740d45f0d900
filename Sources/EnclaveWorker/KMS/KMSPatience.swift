/// How long a data key is worth waiting for. The host waits 60 s for any word of the worker, so the whole is well below.
struct KMSPatience: Sendable {
  /// From the first request's begin to the last reply's end.
  var whole = Duration.seconds(20)
  /// One request, from the connection's begin to the reply's last byte.
  var attempt = Duration.seconds(8)
  /// No attempt is begun with less time than this.
  var shortest = Duration.milliseconds(500)
  /// Requests in all, the first included.
  var attempts = 6
  /// The longest pause behind the first attempt; it doubles with each, up to `cap`.
  var base = Duration.milliseconds(100)
  var cap = Duration.seconds(4)

  /// The pause behind attempt `number` (from 1): exponential, capped, with full jitter, so that workers that were
  /// throttled together do not come back together.
  func rest(after number: Int) -> Duration {
    let longest = min(base * (1 << min(max(number - 1, 0), 16)), cap)
    return longest * Double.random(in: 0...1)
  }
}

extension Duration {
  /// Whole milliseconds, rounded down; never negative.
  var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
    return overflow ? .max : max(0, product + attoseconds / 1_000_000_000_000_000)
  }
}
