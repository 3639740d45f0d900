import Queue
import Wire

// Clients, operators, workers and machines that do what they like.

extension World {
  private static let bundles: Int64 = 24

  /// A client uploads a bundle, perhaps again, perhaps into another folder.
  func upload() {
    let number = UInt64(random.upTo(World.bundles))
    let folders = World.queues + World.schedules.map(\.queue)
    let queue = random.chance(9_000) ? folders[Int(number) % folders.count] : random.pick(folders)
    guard let queue,
      let key = InboxKey.bundle(
        queue, tenant: World.tenants[Int(number / 8) % 3], World.job(number)
      ).key
    else { return }
    put(key)
    uploads += 1
    if random.chance(300) { put("inbox/default/not-a-bundle") }
  }

  private func put(_ key: String) {
    let lag = random.chance(profile.late) ? Duration.seconds(random.upTo(120)) : .zero
    shelf.upload(ObjectShelf.InboxEntry(key: key, bytes: 1_000, visibleAt: trueNow + lag))
  }

  /// A client signs a cancel, perhaps before its bundle arrives; or somebody forges one.
  func uploadCancel() {
    let number = UInt64(random.upTo(World.bundles))
    guard let key = InboxKey.cancel(World.statement(number)).key, random.chance(4_000) else { return }
    shelf.cancels[World.statement(number)] = number % 5 == 4 ? nil as JobName? : World.job(number)
    put(key)
    count("cancel uploaded")
  }

  /// An uploader deletes a bundle that may not have been run yet.
  func removeBundle() {
    guard let entry = random.pick(shelf.inbox) else { return }
    shelf.removeFromInbox(entry.key)
    if case .bundle(_, _, let job) = InboxKey(entry.key) { removed.insert(job) }
    count("bundle deleted by its uploader")
  }

  /// The bundle leaves every folder that it is in.
  func removeBundles(of job: JobName) {
    for entry in shelf.inbox {
      if case .bundle(_, _, job) = InboxKey(entry.key) { shelf.removeFromInbox(entry.key) }
    }
  }

  /// A pass of the janitor.
  func sweep() {
    guard profile.hasJanitor, let process, !process.isDead, !process.isStopping else { return }
    do {
      let summary = try process.sweep(at: now)
      if !summary.cleared.isEmpty { count("bundles cleared out of the inbox") }
      if summary.unproven > 0 { ledger.breach("the janitor found \(summary.unprovenExamples)") }
    } catch {
      trace("the janitor's pass breaks off: \(error)")
    }
  }

  /// An operator's command.
  func operate() {
    guard let process, let port = process.port, !process.isDead else { return }
    do {
      switch random.upTo(9) {
      case 0, 1: _ = try port.requestCancel(World.job(UInt64(random.upTo(World.bundles))), at: now)
      case 2: try port.setPaused(true, queue: random.pick(World.queues) ?? World.queues[0], at: now)
      case 3, 4: for queue in World.queues { try port.setPaused(false, queue: queue, at: now) }
      case 5, 6:
        if random.chance(3_000) { _ = try port.retryAllDead(queue: nil, limit: 10, at: now) }
        for job in try port.list(JobFilter(state: .dead)) { try port.retryDead(job.name, at: now) }
      case 7, 8:
        guard let schedule = random.pick(World.schedules) else { return }
        if try process.scheduler?.runNow(schedule.name, at: now) != nil { count("run-now") }
      default:
        guard random.chance(3_000) else { return }
        process.isDraining = true
        count("drain")
      }
    } catch {
      trace("the operator is told: \(error)")
    }
  }

  /// A worker ends, or comes back with another boot.
  func changeWorker() {
    let worker = Int(random.upTo(Int64(workers.count - 1)))
    if workers[worker].isUp {
      guard random.chance(profile.fault * 4) else { return }
      workers[worker].isUp = false
      count("worker died")
    } else {
      workers[worker].isUp = true
      workers[worker].boot += 1
    }
  }

  /// Somebody sets the host's clock.
  func changeClock() {
    guard profile.hasClockSteps else { return }
    skew = .seconds(random.upTo(7_200) - 3_600)
    count("clock set")
    trace("the host's clock is set")
  }

  func outrightKill() {
    guard let process, !process.isDead, random.chance(profile.kill * 40) else { return }
    kill(process, nil, .before)
  }

  /// SIGTERM.
  func stopDaemon() {
    guard let process, !process.isDead, random.chance(5_000) else { return }
    process.isStopping = true
    trace("the daemon is told to stop")
  }
}
