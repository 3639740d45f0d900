import Queue

extension DaemonMetrics {
  /// Sets the gauges that a snapshot has.
  func take(_ snapshot: StatusSnapshot, at now: Timestamp) {
    sampled.set(Double(snapshot.takenMs) / 1000)
    ready.replaceAll(snapshot.readiness.checks.map { ([$0.name], $0.isMet ? 1 : 0) })
    queueJobs.replaceAll(
      snapshot.queues.flatMap { line in
        JobState.allCases.map { ([line.queue, $0.rawValue], Double(line.jobs[$0.rawValue] ?? 0)) }
      })
    queuePaused.replaceAll(snapshot.queues.map { ([$0.queue], $0.isPaused ? 1 : 0) })
    queueOldestReady.replaceAll(
      snapshot.queues.map { line in
        ([line.queue], line.oldestReadyMs.map { max(0, Double(now.milliseconds - $0) / 1000) } ?? 0)
      })
    workersConfigured.show(Double(snapshot.workers.count))
    workerReady.replaceAll(snapshot.workers.map { ([$0.worker], $0.isReady ? 1 : 0) })
    workerState.replaceAll(snapshot.workers.map { ([$0.worker, $0.state], 1) })
    take(snapshot.schedules)
    policyVersion.show(snapshot.policy.map { Double($0.version) })
    policyUntil.show(snapshot.policy.map { Double($0.expiresMs) / 1000 })
    epochNumber.show(snapshot.epoch.map { Double($0.number) })
    epochFrom.show(snapshot.epoch.map { Double($0.fromMs) / 1000 })
    epochUntil.show(snapshot.epoch.map { Double($0.untilMs) / 1000 })
  }

  /// Sizes of the database's files and the room around them.
  func takeDisk(stateFolder: String, volume: (freeBytes: Double, sizeBytes: Double)?) {
    let database = stateFolder + "/" + StateFolder.database
    databaseBytes.set(ProcessFigures.fileBytes(database), ["main"])
    databaseBytes.set(ProcessFigures.fileBytes(database + "-wal"), ["wal"])
    guard let volume else { return }
    stateFreeBytes.set(volume.freeBytes)
    stateSizeBytes.set(volume.sizeBytes)
  }

  /// What a scrape shows of the loops.
  func take(_ health: HealthReport) {
    loopStalled.replaceAll(health.loops.map { ([$0.name], $0.ok ? 0 : 1) })
  }

  private func take(_ schedules: [ScheduleLine]) {
    func seconds(_ milliseconds: (ScheduleLine) -> Int64?) -> [(labels: [String], value: Double)] {
      schedules.compactMap { line in milliseconds(line).map { ([line.schedule], Double($0) / 1000) } }
    }
    schedulePaused.replaceAll(schedules.map { ([$0.schedule], $0.isPaused ? 1 : 0) })
    scheduleNext.replaceAll(seconds(\.nextMs))
    scheduleLastRun.replaceAll(seconds(\.lastRun?.nominalMs))
    scheduleLastSuccess.replaceAll(seconds(\.lastSuccessMs))
  }
}
