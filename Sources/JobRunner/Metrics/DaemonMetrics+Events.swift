import ObjectStore
import Queue

// The observers' calls come on the daemon's own threads, also on those that keep leases alive: each counts and returns.

extension DaemonMetrics: DaemonEvents {
  func attemptEnded(worker: String, queue: QueueName, seconds: Double, ending: AttemptEnding) {
    let result: String
    switch ending {
    case .finished(let outcome):
      result = "finished"
      jobsEnded.increment([outcome.rawValue])
    case .retry(let fault):
      result = "retry"
      faults.increment([fault.rawValue])
    case .released: result = "released"
    case .cancelled:
      result = "cancelled"
      jobsEnded.increment(["cancelled"])
    case .dead:
      result = "dead"
      jobsEnded.increment(["dead"])
    case .fenced:
      result = "fenced"
      fenceRejections.increment()
    case .abandoned: result = "abandoned"
    }
    attemptSeconds.observe(seconds, [result])
  }

  func leaseReaped(_ fault: FaultClass) { leasesExpired.increment([fault.rawValue]) }

  func bytesMoved(_ direction: TransferDirection, worker: String, count: Int) {
    workerBytes.increment([worker, direction.rawValue], by: Double(count))
  }

  func relayConnection(_ outcome: RelayOutcome) { relayConnections.increment([outcome.rawValue]) }

  func workerRestarted(_ worker: String) { workerRestarts.increment([worker]) }

  func intakePassed(_ summary: IntakeSummary, seconds: Double, at now: Timestamp) {
    intakeSeconds.observe(seconds, ["ok"])
    intakeJobs.increment(by: Double(summary.newJobs.count))
    jobsEnded.increment(["cancelled"], by: Double(summary.cancelledJobs.count))
    intakeObjects.replaceAll([
      (["bundle"], Double(summary.bundles)), (["ignored"], Double(summary.ignored)),
      (["invalid_cancel"], Double(summary.invalidCancels)),
    ])
    intakeLast.show(Double(now.milliseconds) / 1000)
  }

  func intakeFailed(seconds: Double) { intakeSeconds.observe(seconds, ["failed"]) }

  func schedulesTurned(_ turn: SchedulerDriver.Turn) {
    for (schedule, runs) in turn.opened { scheduleRuns.increment([schedule], by: Double(runs.count)) }
    for (schedule, reasons) in turn.skipped {
      for reason in reasons { scheduleSkips.increment([schedule, reason.rawValue]) }
    }
  }
}

extension DaemonMetrics: StoreObserver {
  func requestEnded(_ request: StoreRequest) {
    let operation = request.operation.rawValue
    // Each attempt looks for a commit that mostly is not there yet: that is an answer, and no refusal to be alarmed by.
    let isAbsent = request.outcome == .refused && request.status == 404
    storeRequests.increment([operation, isAbsent ? "not_found" : request.outcome.rawValue])
    storeSeconds.observe(request.seconds, [operation])
    if request.attempt > 1 { storeRetries.increment([operation]) }
    storeBytes.increment(["out"], by: Double(request.sentBytes))
    storeBytes.increment(["in"], by: Double(request.receivedBytes))
  }
}

extension AttemptResult {
  /// As observers are told.
  var observed: AttemptEnding {
    switch self {
    case .finished(let commit): .finished(commit.outcome)
    case .retry(let fault, _): .retry(fault.faultClass)
    case .released: .released
    case .cancelled: .cancelled
    case .dead: .dead
    case .fenced: .fenced
    case .abandoned: .abandoned
    }
  }
}
