import Queue
import Wire

extension World {
  /// The faults stop: whatever was broken is mended, and the daemon goes on as it does every day until nothing is left to
  /// do.
  func settle() throws {
    hasFaults = false
    skew = .zero
    trace("the faults stop")
    if let process, !process.isDead, process.isDraining || process.isStopping {
      for worker in process.attempts.indices { while process.attempts[worker] != nil { step(worker, of: process) } }
      process.isDead = true
      process.close()
    }
    for zombie in zombies { while !zombie.isOver { zombie.step() } }
    zombies = []
    deliverAll()
    for index in workers.indices where !workers[index].isUp {
      workers[index] = SimulatedWorker(boot: workers[index].boot + 1)
    }
    ensureDaemon()
    guard let process, !process.isDead, let port = process.port else {
      return ledger.breach("the daemon does not start")
    }
    for queue in World.queues { try port.setPaused(false, queue: queue, at: now) }
    for _ in 0..<400 {
      turn()
      if hasRestored { try adoptCommits(port) }
      finishAttempts(of: process)
      guard let wait = try timeToNext(process) else {
        try heal(process)
        return try check(process)
      }
      pass(wait)
    }
    ledger.breach("jobs have not ended long after the faults stopped")
    try check(process)
  }

  /// After a restore the store knows of ends and of attempts that the queue does not; the daemon takes them over.
  func adoptCommits(_ port: QueuePort) throws {
    for (job, commit) in shelf.commits.sorted(by: { $0.key < $1.key }) where try port.inspect(job) != nil {
      _ = try port.adopt(commit, of: job, at: now)
    }
    for job in try port.list(JobFilter(limit: 100_000)) where !job.state.isTerminal && job.state != .running {
      guard let last = shelf.attempts(of: job.name).last, last > job.attempt else { continue }
      _ = try port.raiseAttempts(of: job.name, to: last, at: now)
    }
  }

  /// A commit may land between an attempt's look for one and the end that the attempt then records, from an earlier attempt
  /// whose write was on its way. No fence can close that gap; the janitor does, which looks before a bundle goes and once
  /// more before a row does.
  private func heal(_ process: DaemonProcess) throws {
    let stray = try process.store.list(JobFilter(limit: 100_000)).filter { $0.state != .finished }.map(\.name)
      .filter { shelf.commits[$0] != nil }
    guard !stray.isEmpty else { return }
    pass(JobState.allCases.compactMap(World.retention.age).max().map { $0 + .seconds(30) } ?? .zero)
    for _ in 0..<3 { _ = try process.sweep(at: now) }
    for job in stray where try process.store.inspect(job)?.job.state == .finished {
      count("late commit found by the janitor")
    }
  }

  private func finishAttempts(of process: DaemonProcess) {
    for worker in process.attempts.indices {
      var hasMore = true
      while hasMore {
        hasMore = step(worker, of: process)
        process.attempts[worker]?.look()
      }
    }
  }

  /// How long nothing can happen; nil when everything has ended.
  private func timeToNext(_ process: DaemonProcess) throws -> Duration? {
    let jobs = try process.store.list(JobFilter(limit: 100_000))
    let hidden = shelf.inbox.filter { $0.visibleAt > trueNow }.map(\.visibleAt)
    let known = Set(jobs.map(\.name))
    let isAllKnown = shelf.inbox.allSatisfy { entry in
      if case .bundle(_, _, let job) = InboxKey(entry.key) {
        known.contains(job) || ledger.maybeGone.contains(job)
      } else {
        true
      }
    }
    guard !hidden.isEmpty || !isAllKnown || jobs.contains(where: { !$0.state.isTerminal }) else { return nil }
    var moments = jobs.compactMap { $0.nextAttemptAt } + jobs.compactMap { $0.leaseUntil } + hidden
    if jobs.contains(where: { $0.state == .held }) {
      moments += World.schedules.compactMap { $0.calendar?.next(after: now) }
    }
    let next = moments.filter { $0 > now }.min() ?? now
    return max(.seconds(1), next - now)
  }

  /// Every promise, at the end.
  private func check(_ process: DaemonProcess) throws {
    let jobs = try process.store.list(JobFilter(limit: 100_000))
    let known = Set(jobs.map(\.name))
    for entry in shelf.inbox {
      if case .bundle(_, _, let job) = InboxKey(entry.key), !known.contains(job), !ledger.maybeGone.contains(job) {
        ledger.breach("\(short(job)) was uploaded and is not in the queue")
      }
    }
    for job in jobs { try check(job, process) }
    for (job, commit) in commits.sorted(by: { $0.key < $1.key }) {
      if shelf.commits[job] != commit { ledger.breach("\(short(job)): its commit has changed") }
      if shelf.files(of: job, attempt: commit.attempt) != committedFiles[job] {
        ledger.breach("\(short(job)): files that its commit names are gone or changed")
      }
    }
    let counted = try process.store.stats().flatMap { $0.counts.map(\.value) }.reduce(0, +)
    if counted != Int64(jobs.count) { ledger.breach("stats count \(counted) of \(jobs.count) jobs") }
    try checkRuns(process)
    for fault in try process.queue.integrityFaults() { ledger.breach("the database: \(fault)") }
  }

  private func check(_ job: Job, _ process: DaemonProcess) throws {
    let name = short(job.name)
    count("ended \(job.state.rawValue)")
    if !job.state.isTerminal { ledger.breach("\(name) has not ended: \(job.state.rawValue)") }
    let commit = shelf.commits[job.name]
    if job.commit != nil, job.commit != commit { ledger.breach("\(name) is finished by what is not its commit") }
    if job.state == .finished, commit == nil { ledger.breach("\(name) is finished without a commit") }
    if job.state != .finished, commit != nil { ledger.breach("\(name) has a commit and is \(job.state.rawValue)") }
    if job.state == .dead, !World.isPoisonous(job.name), !World.isUnopenable(job.name) { count("dead by its faults") }
    let history = try process.store.inspect(job.name)?.attempts ?? []
    let numbers = history.map(\.number)
    if numbers != numbers.sorted() || Set(numbers).count != numbers.count || numbers.last ?? 0 > job.attempt {
      ledger.breach("\(name): its history is \(numbers), its attempt \(job.attempt)")
    }
    if history.contains(where: { $0.end == nil }) { ledger.breach("\(name): an attempt of its history has no end") }
  }

  private func checkRuns(_ process: DaemonProcess) throws {
    for schedule in World.schedules {
      let runs = try process.store.runs(of: schedule.name, limit: 1_000)
      if Set(runs.map(\.nominalAt)).count != runs.count { ledger.breach("\(schedule.name): two runs for one time") }
      for run in runs where run.trigger == .clock && run.skipped != .added {
        count("run by the clock")
        if schedule.calendar?.latest(notAfter: run.nominalAt) != run.nominalAt {
          ledger.breach("\(schedule.name) ran at \(run.nominalAt), which its cron does not name")
        }
      }
    }
  }
}
