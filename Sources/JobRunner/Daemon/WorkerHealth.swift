import Queue
import Synchronization
import Wire

/// When a worker that fails attempts is put aside, and for how long: what it fails costs the jobs, not itself.
struct QuarantinePolicy: Sendable {
  /// Failed attempts in a row after which it is.
  var threshold = 3
  /// The first quarantine at its longest; each further failure doubles it.
  var base = Duration.seconds(5)
  var cap = Duration.seconds(300)

  /// How long the quarantine after the `faults`-th failure in a row lasts: half of it fixed, half drawn, so that workers
  /// that failed together do not come back together.
  func wait(afterFaults faults: Int) -> Duration {
    let longest = min(base * (1 << min(max(faults - threshold, 0), 16)), cap)
    return longest / 2 + longest / 2 * Double.random(in: 0...1)
  }
}

extension FaultClass {
  /// Whether a fault speaks against the worker that the attempt ran on. One bundle may fell every worker, so these put a
  /// worker aside only when they come in a row.
  var speaksAgainstWorker: Bool {
    switch self {
    case .workerLost, .workerProtocol, .deadlineExceeded: true
    case .workerRetry, .bundleUnopened, .workerUnavailable, .storeUnavailable, .bundleMissing, .leaseExpired,
      .daemonLost, .attemptTaken:
      false
    }
  }
}

/// A worker's health as its executor and its supervisor find it; operators and metrics read it here, without waiting for
/// either.
///
///     notReady ⇄ ready ⇄ busy ─▶ quarantined ─▶ (its time is over) notReady or ready
final class WorkerHealth: Sendable {
  /// What there is to say.
  struct View: Sendable {
    var state = WorkerState.notReady
    /// Since when it is in this state.
    var since: Timestamp
    var isDraining = false
    var job: JobName?
    var attempt: Int64?
    /// Failed attempts in a row.
    var faultsInRow = 0
    /// The end of a quarantine, for people.
    var quarantinedUntil: Timestamp?
    /// The same by the clock that decides, which nobody sets.
    fileprivate var until: ContinuousClock.Instant?
    var lastError: String? = "not looked at yet"
    var lastErrorAt: Timestamp?
    /// Beginning of PCR0.
    var image: String?
    /// Version of the policy in force; nil while it has none.
    var policyVersion: UInt64?
    /// Whether another worker may leave it a job.
    var isServing: Bool { !isDraining && state.takesJobs }
  }

  let name: String
  private let clock: any QueueClock
  private let events: any DaemonEvents
  private let policy: QuarantinePolicy
  private let state: Mutex<View>
  /// Longest text that is kept.
  private static let errorLimit = 400

  init(
    name: String, clock: any QueueClock, events: any DaemonEvents = NoDaemonEvents(),
    policy: QuarantinePolicy = QuarantinePolicy()
  ) {
    self.name = name
    self.clock = clock
    self.events = events
    self.policy = policy
    state = Mutex(View(since: clock.now()))
  }

  var view: View { state.withLock { $0 } }

  /// Whether it may be given a job now; ends a quarantine whose time has come.
  var mayClaim: Bool {
    var may = false
    change { view in
      may = !view.isDraining && (view.until.map { $0 <= .now } ?? true)
      guard may, view.until != nil else { return }
      (view.until, view.quarantinedUntil) = (nil, nil)
      view.state = .notReady
    }
    return may
  }

  /// Whether another worker may leave it a job.
  var isServing: Bool { view.isServing }

  /// A look found it supplied.
  func supplied() { change { if $0.state == .notReady { $0.state = .ready } } }

  /// A look found that it cannot take jobs.
  func notReady(_ reason: String) {
    change { view in
      if view.state == .ready { view.state = .notReady }
      note(reason, in: &view)
    }
  }

  /// What its status says.
  func described(image: String?, policyVersion: UInt64?) {
    state.withLock { view in
      view.image = image
      view.policyVersion = policyVersion
    }
  }

  func began(_ job: JobName, attempt: Int64) {
    change { view in
      view.state = .busy
      view.job = job
      view.attempt = attempt
    }
  }

  /// The attempt is over.
  ///
  /// - Parameters:
  ///   - fault: what ended it; nil for an end that speaks for the worker.
  ///   - isProof: whether a good end shows that the worker works: a job that was found finished shows nothing.
  /// - Returns: the length of the quarantine that begins.
  func ended(fault: Fault?, isProof: Bool) -> Duration? {
    var quarantine: Duration?
    change { view in
      view.state = .ready
      (view.job, view.attempt) = (nil, nil)
      guard let fault else {
        if isProof { view.faultsInRow = 0 }
        return
      }
      note("\(fault.faultClass.rawValue): \(fault.detail)", in: &view)
      guard fault.faultClass.speaksAgainstWorker else { return }
      view.faultsInRow += 1
      guard view.faultsInRow >= policy.threshold else { return }
      let wait = policy.wait(afterFaults: view.faultsInRow)
      quarantine = wait
      view.state = .quarantined
      (view.until, view.quarantinedUntil) = (.now + wait, clock.now() + wait)
    }
    return quarantine
  }

  /// No more claims for it; the attempt under way goes on.
  func drain() { change { $0.isDraining = true } }

  /// Claims go on; a quarantine ends too, since the operator has looked.
  func undrain() {
    change { view in
      view.isDraining = false
      view.faultsInRow = 0
      (view.until, view.quarantinedUntil) = (nil, nil)
      if view.state == .quarantined { view.state = .notReady }
    }
  }

  private func note(_ reason: String, in view: inout View) {
    view.lastError = String(reason.prefix(Self.errorLimit))
    view.lastErrorAt = clock.now()
  }

  /// Applies a change, and tells of another state.
  private func change(_ body: (inout View) -> Void) {
    let now = clock.now()
    let changed = state.withLock { view -> WorkerState? in
      let before = view.state
      body(&view)
      guard view.state != before else { return nil }
      view.since = now
      return view.state
    }
    if let changed { events.workerChanged(name, to: changed) }
  }
}
