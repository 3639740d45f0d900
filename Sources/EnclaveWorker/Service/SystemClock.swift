import CPlatform

/// The system clock, by which certificates are judged. It is held to the security module's at boot, at each job's start
/// and before each exchange with KMS (protocol §2).
enum SystemClock {
  /// The largest difference that is accepted, in milliseconds.
  static let toleranceMilliseconds: Int64 = 5 * 60 * 1000

  /// Says how the clock differs from the module's time `moduleMs` (milliseconds since 1970); nil within the tolerance.
  static func disagreement(withModuleMs moduleMs: UInt64) -> String? {
    let difference = abs(cplatform_now_ms() - Int64(clamping: moduleMs))
    guard difference > toleranceMilliseconds else { return nil }
    return "the system clock differs from the security module's by \(difference / 1000) s"
  }
}
