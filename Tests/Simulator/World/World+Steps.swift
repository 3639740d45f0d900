import Queue
import Wire

// What can happen next, of which each step draws one thing.

extension World {
  /// One thing happens.
  func step() {
    switch random.upTo(99) {
    case 0..<6: upload()
    case 6..<11: turn()
    case 11..<67: executorStep()
    case 67..<75: random.pick(attempts)?.look()
    case 75..<83: pass(.milliseconds(random.upTo(12_000)))
    case 83..<88: zombieStep()
    case 88..<90: uploadCancel()
    case 90..<94: operate()
    case 94..<96: changeWorker()
    case 96: changeClock()
    case 97: random.chance(5_000) ? outrightKill() : stopDaemon()
    case 98: random.chance(5_000) ? pass(.seconds(random.upTo(7_200))) : sweep()
    default: random.chance(8_000) ? makeBackup() : removeBundle()
    }
    if depth == 0 { ensureDaemon() }
  }

  /// Something outside of the daemon, which must not fail.
  private func attemptTo(_ body: () throws -> Void) {
    do { try body() } catch { ledger.breach("\(error)") }
  }

  var attempts: [AttemptActor] {
    guard let process, !process.isDead else { return [] }
    return process.attempts.compactMap { $0 }
  }

  /// A supervisor starts the daemon again when it has ended.
  func ensureDaemon() {
    if let process, !process.isDead { return endStopped(process) }
    if hasFaults, process != nil, random.chance(2_000) { return }
    attemptTo(start)
  }

  /// A daemon that was told to stop ends when its attempts have.
  private func endStopped(_ process: DaemonProcess) {
    guard process.isStopping, process.attempts.allSatisfy({ $0?.isOver ?? true }) else { return }
    attemptTo {
      expectation = hasDoubt ? .nothing : .exactly(try Snapshot(process.queue))
      process.isDead = true
      process.close()
      count("daemon stopped in order")
      trace("the daemon has stopped")
    }
  }

  // MARK: The daemon

  /// A pass of the intake loop.
  func turn() {
    guard let process, !process.isDead, !process.isStopping else { return }
    do { try process.turn(at: now) } catch { trace("the intake's pass breaks off: \(error)") }
  }

  /// One worker's executor claims, or its attempt takes a step.
  private func executorStep() {
    guard let process, !process.isDead else { return }
    let worker = Int(random.upTo(Int64(profile.workers - 1)))
    step(worker, of: process)
  }

  /// - Returns: whether there was something to do.
  @discardableResult func step(_ worker: Int, of process: DaemonProcess) -> Bool {
    guard !process.isDead else { return false }
    if let attempt = process.attempts[worker] {
      attempt.step()
      if attempt.isOver, !process.isDead { process.attempts[worker] = nil }
      return true
    }
    // A worker that is not there costs no job anything: nothing is claimed for it.
    guard !process.isStopping, !process.isDraining, workers[worker].isUp else { return false }
    let port = QueuePort(self, process)
    guard let lease = try? port.claim(World.request, at: now), !process.isDead else { return false }
    // A claim that was slow may find that its worker has got another job meanwhile; then the lease runs out.
    guard process.attempts[worker] == nil else { return false }
    writers += 1
    count("attempt claimed")
    trace("\(short(lease.job)) claimed, attempt \(lease.attempt), writer \(writers), worker \(worker)")
    process.attempts[worker] = AttemptActor(self, lease, worker: worker, port: port, writer: writers)
    return true
  }

  private func zombieStep() {
    guard !zombies.isEmpty else { return }
    let index = Int(random.upTo(Int64(zombies.count - 1)))
    let zombie = zombies[index]
    count("step of a zombie")
    zombie.step()
    zombies.removeAll { $0.isOver }
  }

  /// What the daemon deletes after an attempt, as AttemptLeftovers does.
  func tidy(after result: AttemptResult, of lease: Lease, by process: DaemonProcess) {
    let job = lease.job
    var doomed: [(Int64, String)] = []
    switch result {
    case .finished(let commit) where lease.attempt > 1:
      for attempt in shelf.attempts(of: job) where attempt != commit.attempt {
        doomed += shelf.files(of: job, attempt: attempt).keys.sorted().map { (attempt, $0) }
      }
    case .dead:
      for attempt in shelf.attempts(of: job) {
        let files = shelf.files(of: job, attempt: attempt)
        if files[ObjectShelf.receipt] == nil { doomed += files.keys.sorted().map { (attempt, $0) } }
      }
    case .finished, .retry, .released, .cancelled, .fenced, .abandoned: return
    }
    do {
      try request(.deleteLeftovers, of: process) {}
      for (attempt, file) in doomed {
        shelf.delete(job, attempt: attempt, file)
        count("leftover deleted")
        try between(.deleteLeftovers, of: process)
      }
    } catch {
      trace("leftovers of \(short(job)) stay")
    }
  }

  /// What the worker says in a job, and whether it then falls silent instead of hanging up.
  func conversation(of job: JobName, writer: Int) -> (script: [JobRequest], isDeaf: Bool) {
    if World.isPoisonous(job) { return ([.pull(.bundle)], random.chance(5_000)) }
    if World.isUnopenable(job) { return ([.pull(.bundle), .end(.retry, receipt: nil)], false) }
    var script: [JobRequest] = [.pull(.bundle), .progress(done: 0), .write(.output, [1])]
    if random.chance(5_000) { script.insert(.pull(.model(job, name: "config.json")), at: 2) }
    if random.chance(5_000) { script += [.write(.errors, [2]), .progress(done: 7)] }
    let outcome = JobOutcome.allCases[writer % JobOutcome.allCases.count]
    script.append(.end(outcome.code, receipt: World.receipt(of: writer).bytes))
    guard hasFaults, random.chance(max(profile.fault, 300)) else { return (script, false) }
    return misbehave(script)
  }

  private func misbehave(_ script: [JobRequest]) -> ([JobRequest], Bool) {
    switch random.upTo(6) {
    case 0:
      count("worker: end without a receipt")
      return (script.dropLast() + [.end(.ok, receipt: nil)], false)
    case 1:
      count("worker: a receipt with the code retry")
      return (script.dropLast() + [.end(.retry, receipt: [1])], false)
    case 2:
      count("worker: receipt of another bundle")
      return (script.dropLast() + [.end(.ok, receipt: [1])], false)
    case 3, 4:
      count("worker: retry")
      return (script.prefix(Int(random.upTo(3))) + [.end(.retry, receipt: nil)], false)
    case 5:
      count("worker: breaks the protocol")
      return (Array(script.prefix(Int(random.upTo(3)))), false)
    default:
      count("worker: falls silent")
      return (Array(script.prefix(Int(random.upTo(3)))), true)
    }
  }

  /// A commit arrives at the store, from an attempt that may be long over.
  /// - Returns: whether it stands now; false when another was there.
  func commit(_ commit: JobCommit, of job: JobName, by writer: Int) -> Bool {
    let files = shelf.files(of: job, attempt: commit.attempt)
    guard shelf.commit(commit, of: job, overwrites: mutant == .overwritesCommits) else {
      count("second commit refused")
      return false
    }
    count("commit written")
    trace("\(short(job)) is committed by writer \(writer)")
    if files[ObjectShelf.receipt] != writer { ledger.breach("\(short(job)) was committed without its receipt") }
    if files.values.contains(where: { $0 != writer }) { ledger.breach("\(short(job)): its results have two writers") }
    if let first = commits[job], first != commit { ledger.breach("\(short(job)) was committed twice") }
    commits[job] = commits[job] ?? commit
    committedFiles[job] = files
    return true
  }
}
