import Glibc
import SealedCrypto

/// Wall-clock time in milliseconds since 1970, and its RFC 3339 form.
package enum Timestamps {
  /// Now, by this machine's clock.
  package static func nowMs() -> UInt64 {
    var now = timespec()
    guard clock_gettime(CLOCK_REALTIME, &now) == 0, now.tv_sec > 0 else { return 0 }
    return UInt64(now.tv_sec) * 1000 + UInt64(max(now.tv_nsec, 0)) / 1_000_000
  }

  /// `2026-11-22T13:40:05Z`.
  package static func text(_ milliseconds: UInt64) -> String {
    let compact = Array(SigV4Date.text(Int64(clamping: milliseconds / 1000)))
    func part(_ range: Range<Int>) -> String { String(compact[range]) }
    return "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):\(part(11..<13)):\(part(13..<15))Z"
  }

  /// Milliseconds of an RFC 3339 time in UTC (`2026-11-22T13:40:05Z`, a fraction is ignored), or nil.
  package static func milliseconds(_ text: String) -> UInt64? {
    guard text.hasSuffix("Z") || text.hasSuffix("z") else { return nil }
    let body = text.dropLast().split(separator: ".", maxSplits: 1)
    guard let whole = body.first, body.count == 1 || body[1].allSatisfy(\.isNumber) else { return nil }
    let compact = whole.replacing("-", with: "").replacing(":", with: "").replacing("t", with: "T") + "Z"
    guard whole.count == 19, let seconds = SigV4Date.seconds(String(compact)) else { return nil }
    return UInt64(exactly: seconds)?.multipliedReportingOverflow(by: 1000).partialValue
  }
}
