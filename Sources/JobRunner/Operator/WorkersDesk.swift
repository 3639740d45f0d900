import Queue

/// What the daemon answers about itself and its workers. It reads what others have noted and waits for no worker.
struct WorkersDesk: Sendable {
  let pool: WorkerPool
  let startedAt: Timestamp

  /// The daemon and its workers.
  func status(_ about: String, at now: Timestamp) -> OperatorReply {
    var reply = list()
    let views = pool.workers.map(\.health.view)
    let serving = views.filter(\.isServing).count
    reply.message = "\(about); \(serving) of \(views.count) workers take jobs"
    reply.facts = [
      "about": .text(about), "started_ms": .time(startedAt), "workers_serving": .number(Int64(serving)),
      "busy": .number(Int64(views.filter { $0.state == .busy }.count)),
      "draining": .bool(views.allSatisfy(\.isDraining)),
    ]
    return reply
  }

  /// One row for each worker.
  func list() -> OperatorReply {
    let rows = pool.workers.map { worker -> OperatorRow in
      let view = worker.health.view
      return [
        "worker": .text(worker.settings.name), "endpoint": .text("\(worker.settings.endpoint)"),
        "state": .text(view.state.rawValue), "draining": .bool(view.isDraining), "since_ms": .time(view.since),
        "job": .optional(view.job?.hex), "attempt": view.attempt.map { .number($0) } ?? .null,
        "queues": .text(worker.settings.queues.map { $0.map(\.rawValue).joined(separator: " ") } ?? "all"),
        "image": .optional(view.image), "policy": view.policyVersion.map { .number(Int64(clamping: $0)) } ?? .null,
        "pid": worker.processID.map { .number(Int64($0)) } ?? .null,
        "faults_in_row": .number(Int64(view.faultsInRow)), "quarantined_until_ms": .time(view.quarantinedUntil),
        "last_error": view.state.takesJobs ? .null : .optional(view.lastError),
        "last_fault": view.lastErrorAt == nil ? .null : .optional(view.lastError),
        "last_fault_ms": .time(view.lastErrorAt),
      ]
    }
    return .table(
      "workers", ["worker", "endpoint", "state", "draining", "since_ms", "job", "image", "policy", "last_error"], rows)
  }

  /// Stops or resumes claims for one worker; the attempt under way goes on.
  func setDraining(_ isDraining: Bool, _ name: String) -> OperatorReply {
    guard let worker = pool[name] else {
      return .missing(
        "there is no worker \"\(name.prefix(80))\"",
        remedy: "name one of: \(pool.workers.map(\.settings.name).joined(separator: ", "))")
    }
    if isDraining { worker.health.drain() } else { worker.health.undrain() }
    worker.executor.wake()
    return .done(
      isDraining
        ? "worker \(name) is given no job any more; what is under way goes on" : "worker \(name) is given jobs again",
      ["worker": .text(name), "draining": .bool(isDraining)])
  }
}
