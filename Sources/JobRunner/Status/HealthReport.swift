/// Whether the process does its work: what `/healthz` says. A supervisor may restart a daemon that is not healthy; one that
/// is merely not ready (``Readiness``) would come back the same.
struct HealthReport: Encodable, Sendable {
  /// One loop.
  struct Loop: Encodable, Sendable {
    let name: String
    let state: String
    let ok: Bool
  }

  let status: String
  let reasons: [String]
  let loops: [Loop]
  var isHealthy: Bool { reasons.isEmpty }

  init(_ pulses: [LoopPulse], at now: SuspendingClock.Instant = .now) {
    let faults = pulses.map { $0.fault(at: now) }
    reasons = faults.compactMap { $0 }
    status = reasons.isEmpty ? "ok" : "failing"
    loops = zip(pulses, faults).map { Loop(name: $0.name, state: $0.word, ok: $1 == nil) }
  }
}
