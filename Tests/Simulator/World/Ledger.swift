import Queue
import Wire

/// What must be true of the queue whatever befell it, from what its calls have answered. It knows each job's lease holder,
/// so it can say whether a call with a lease should have been refused.
struct Ledger {
  /// What is known of one job.
  private struct Entry {
    var holder: LeaseToken?
    var attempt: Int64 = 0
    var state = JobState.ready
    var commit: JobCommit?
  }

  /// Breaches of the promises, in words.
  private(set) var breaches: [String] = []
  private var entries: [JobName: Entry] = [:]
  private var tokens: Set<LeaseToken> = []
  /// Runs that the clock opened, which it may not open again: one for each schedule and nominal time.
  private var nominal: [String: Set<Timestamp>] = [:]
  /// Names whose rows are gone, or may be: a call that was to remove them was made.
  private(set) var maybeGone: Set<JobName> = []
  private var gone: Set<JobName> = []
  private var hasForgottenNames = false

  mutating func breach(_ words: String) { if breaches.count < 20 { breaches.append(words) } }

  func holds(_ lease: Lease) -> Bool { entries[lease.job]?.holder == lease.token }

  mutating func enqueued(_ jobs: [NewJob], isNew: [Bool]) {
    if jobs.count != isNew.count { breach("enqueue answered \(isNew.count) for \(jobs.count) jobs") }
    for (job, isNew) in zip(jobs, isNew) {
      if isNew, entries[job.name] != nil { breach("\(short(job.name)) is new a second time") }
      if isNew, gone.contains(job.name), !hasForgottenNames {
        breach("\(short(job.name)) came back after it was pruned")
      }
      if !isNew, entries[job.name] == nil, !maybeGone.contains(job.name) {
        breach("\(short(job.name)) is said to be known, and was never taken in")
      }
      if isNew { entries[job.name] = Entry() }
    }
  }

  mutating func claimed(_ lease: Lease) {
    let entry = entries[lease.job] ?? Entry()
    if entries[lease.job] == nil { breach("\(short(lease.job)) was claimed and never taken in") }
    if entry.holder != nil { breach("\(short(lease.job)) was claimed while another lease was valid") }
    if lease.attempt <= entry.attempt { breach("\(short(lease.job)): attempt \(lease.attempt) after \(entry.attempt)") }
    if entry.state.isTerminal { breach("\(short(lease.job)) was claimed when it had ended") }
    if !tokens.insert(lease.token).inserted { breach("a lease token came twice") }
    entries[lease.job, default: Entry()].holder = lease.token
    entries[lease.job]?.attempt = lease.attempt
    entries[lease.job]?.state = .running
  }

  /// A call with a lease took effect.
  mutating func applied(_ what: String, _ lease: Lease) {
    if !holds(lease) { breach("\(what) of \(short(lease.job)) took effect without a valid lease") }
  }

  mutating func ended(_ lease: Lease, _ state: JobState, commit: JobCommit? = nil) {
    move(lease.job, to: state, commit: commit)
  }

  mutating func reaped(_ lease: ReapedLease) {
    if entries[lease.job]?.holder == nil { breach("\(short(lease.job)) was reaped without a lease") }
    move(lease.job, to: .retryWait)
  }

  mutating func adopted(_ commit: JobCommit, of job: JobName) {
    move(job, to: .finished, commit: commit)
    if let attempt = entries[job]?.attempt { entries[job]?.attempt = max(attempt, commit.attempt) }
  }

  /// Whether the job has ended, as far as the calls have said.
  func hasEnded(_ job: JobName) -> Bool { entries[job]?.state.isTerminal ?? maybeGone.contains(job) }

  mutating func mayBeGone(_ jobs: [JobName]) { maybeGone.formUnion(jobs) }

  mutating func recordsMayBeGone() { hasForgottenNames = true }

  mutating func pruned(_ job: JobName) {
    if let entry = entries[job], !entry.state.isTerminal { breach("\(short(job)) was pruned and had not ended") }
    entries[job] = nil
    gone.insert(job)
  }

  mutating func raised(_ job: JobName, to number: Int64) {
    guard let entry = entries[job] else { return breach("\(short(job)) was raised and is not known") }
    if entry.holder != nil { breach("\(short(job)) was raised while a lease was valid") }
    if number <= entry.attempt { breach("\(short(job)): its attempts went back from \(entry.attempt) to \(number)") }
    entries[job]?.attempt = number
  }

  mutating func cancelled(_ job: JobName) { move(job, to: .cancelled) }

  mutating func broughtBack(_ job: JobName) { move(job, to: .ready) }

  /// A clock that reads more than an hour before a run's nominal time shows that the run was opened by a wrong one: it is
  /// due again when its time comes. No smaller step back opens a night twice.
  mutating func clockWasSetBack(to reading: Timestamp) {
    nominal = nominal.mapValues { times in times.filter { $0 <= reading + .seconds(3_600) } }
  }

  mutating func opened(_ run: NewRun) {
    guard run.trigger == .clock else { return }
    if !nominal[run.schedule, default: []].insert(run.nominalAt).inserted {
      breach("\(run.schedule) was opened twice for \(run.nominalAt)")
    }
  }

  private mutating func move(_ job: JobName, to state: JobState, commit: JobCommit? = nil) {
    guard let old = entries[job] else { return breach("\(short(job)) moved to \(state.rawValue) and is not known") }
    if old.state == .finished { breach("\(short(job)) was finished and moved to \(state.rawValue)") }
    if let known = old.commit, known != commit { breach("\(short(job)) changed its commit") }
    entries[job]?.state = state
    entries[job]?.holder = nil
    entries[job]?.commit = commit ?? old.commit
  }

  /// A successor has opened the database: what its rows say must be what the calls answered, or, for a call that was under
  /// way, what it would have answered. (That the rows are so is compared whole elsewhere.)
  mutating func reload(_ rows: [Job]) {
    let names = Set(rows.map(\.name))
    for name in entries.keys.sorted() where !names.contains(name) {
      if !hasEnded(name) || !maybeGone.contains(name) { breach("\(short(name)) is gone") }
      entries[name] = nil
    }
    for row in rows {
      if let old = entries[row.name] {
        if row.attempt < old.attempt { breach("\(short(row.name)): its attempts went back") }
        if old.state == .finished, row.commit != old.commit { breach("\(short(row.name)): its end has changed") }
      }
      entries[row.name] = Entry(
        holder: row.state == .running ? LeaseToken(rawValue: 0) : nil, attempt: row.attempt, state: row.state,
        commit: row.commit)
    }
  }

  /// An operator put an older database back; breaches stay.
  mutating func restore(_ older: Ledger) {
    entries = older.entries
    nominal = older.nominal
    maybeGone = older.maybeGone
    gone = older.gone
    hasForgottenNames = older.hasForgottenNames
  }
}

/// A job's name as a trace shows it.
func short(_ job: JobName) -> String { "job \(String(job.hex.prefix(6)))" }
