// The states of a job, and every legal move between them. The same words stand in the schema's CHECK, and a trigger in
// the schema refuses every move that is not listed here (a test walks all pairs).
//
//   enqueue ──▶ held ──run takes it──▶ ready ◀──────── retry by an operator ─────────────┐
//      │                               ▲ │ ▲                                            │
//      └───────────────────────────────┼─┘ │                                            │
//                    when it is due    │   │ release: the daemon stops (no fault)       │
//            retry-wait ───────────────┘ claim                                          │
//                ▲                       ▼ │                                            │
//                │  a fault            running ── no commit, too many strikes ────────▶ dead
//                └──────────────────────┘ │ └──── no commit, cancel was asked ────────▶ cancelled
//                                         └────── commit.json is written ────────────▶ finished(outcome)
//
// - The truth about a finished job is `jobs/<name>/commit.json` in the object store, made by one conditional write. So
//   every other state may move to `finished` when that object is found: after a crash between commit and finish, after
//   a restore, or when a zombie's commit came in late. Nothing leaves `finished`.
// - Only an attempt that has looked for a commit and found none may end a job that ever ran as dead or cancelled; that
//   is why a fault always leads to `retry-wait`, never straight to `dead`.
// - A job that never ran is cancelled at once, from `held` or `ready`.

/// Where a job stands in the queue.
package enum JobState: String, CaseIterable, Sendable {
  /// In a schedule's inbox, until a run of that schedule takes it.
  case held
  /// May be claimed now.
  case ready
  /// Claimed: one executor holds its lease.
  case running
  /// Waits for the moment of its next attempt.
  case retryWait = "retry_wait"
  /// A commit exists. Final.
  case finished
  /// Given up at the submitter's or an operator's word.
  case cancelled
  /// Cost too many attempts; an operator can bring it back.
  case dead

  /// The states that this one may move to.
  package var legalMoves: Set<JobState> {
    switch self {
    case .held: [.ready, .cancelled, .finished]
    case .ready: [.running, .cancelled, .finished]
    case .running: [.ready, .retryWait, .finished, .cancelled, .dead]
    case .retryWait: [.ready, .finished]
    case .finished: []
    case .cancelled: [.finished]
    case .dead: [.ready, .finished]
    }
  }

  /// Whether a job in this state has ended (an operator may still bring a dead one back).
  package var isTerminal: Bool {
    switch self {
    case .finished, .cancelled, .dead: true
    case .held, .ready, .running, .retryWait: false
    }
  }
}
