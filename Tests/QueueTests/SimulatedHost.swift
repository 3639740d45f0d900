import Wire

@testable import Queue

/// The object store and the workers of a simulated host. Faults strike before an effect or after it (the effect took
/// place, the answer got lost).
final class SimulatedHost {
  private(set) var commits: [JobName: JobCommit] = [:]
  private(set) var receipts: [JobName: Set<Int64>] = [:]
  private(set) var violations: [String] = []
  private(set) var jobsStarted: [JobName: Int] = [:]
  /// In thousandths.
  var faultRate: Int64 = 0
  let random: SeededRandom

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  func chance(_ thousandths: Int64) -> Bool { random.upTo(999) < thousandths }

  func pick<Element>(_ elements: [Element]) -> Element? {
    elements.isEmpty ? nil : elements[Int(random.upTo(Int64(elements.count - 1)))]
  }

  func note(_ violation: String) { violations.append(violation) }

  /// Performs an action of the attempt's I/O. `progress` counts the worker's requests so far.
  func perform(_ action: ExecutorAction, lease: Lease, progress: inout Int) -> ExecutorEvent {
    if chance(faultRate) { return .fault(faultOf(action)) }
    let event = effect(of: action, lease: lease, progress: &progress)
    return chance(faultRate) ? .fault(faultOf(action)) : event
  }

  private func effect(of action: ExecutorAction, lease: Lease, progress: inout Int) -> ExecutorEvent {
    switch action {
    case .lookUpCommit: return .commitLookedUp(commits[lease.job])
    case .startJob:
      jobsStarted[lease.job, default: 0] += 1
      return .workerConnected
    case .readRequest:
      defer { progress += 1 }
      return .requestReceived(request(number: progress))
    case .sendPiece, .appendResult, .acknowledge: return .replied
    case .storeResults(let receipt):
      receipts[lease.job, default: []].insert(lease.attempt)
      let outcomes = JobOutcome.allCases
      return .resultsStored(outcomes[Int(receipt.first ?? 0) % outcomes.count], receipt: digest(of: lease))
    case .writeCommit(let commit):
      if let existing = commits[lease.job] { return .commitExisted(existing) }
      if receipts[lease.job]?.contains(commit.attempt) != true { note("\(lease.job) committed without a receipt") }
      commits[lease.job] = commit
      return .commitWritten
    case .finish, .retryLater, .release, .cancel, .giveUp, .abandon:
      note("the driver was handed a call on the queue")
      return .leaseLost
    }
  }

  private func request(number: Int) -> JobRequest {
    switch number {
    case 0, 1: .pull(.bundle)
    case 2: .write(.output, [1, 2, 3])
    case 3: .progress(done: 3)
    default: chance(faultRate) ? .end(.retry, receipt: nil) : .end(.ok, receipt: [UInt8(random.upTo(255))])
    }
  }

  private func faultOf(_ action: ExecutorAction) -> Fault {
    switch action {
    case .startJob: Fault(.workerUnavailable)
    case .readRequest, .sendPiece, .appendResult, .acknowledge: Fault(.workerLost)
    default: Fault(.storeUnavailable)
    }
  }

  private func digest(of lease: Lease) -> ContentDigest { lease.job }
}

/// One attempt, a step at a time, so that steps of several attempts can be mixed in any order.
struct SimulatedAttempt {
  let lease: Lease
  private var machine: ExecutorMachine
  private var event = ExecutorEvent.claimed
  private var progress = 0
  private(set) var isOver = false

  init(_ lease: Lease) {
    self.lease = lease
    machine = ExecutorMachine(lease)
  }

  /// Lets a posted event (a lost lease, a shutdown, …) end the attempt.
  mutating func post(_ posted: ExecutorEvent, host: SimulatedHost, store: any QueueStore, at now: Timestamp) {
    guard !isOver, let action = machine.handle(posted) else { return }
    perform(action, host: host, store: store, at: now)
  }

  mutating func step(host: SimulatedHost, store: any QueueStore, at now: Timestamp) {
    guard !isOver else { return }
    guard let action = machine.handle(event) else {
      isOver = true
      return
    }
    perform(action, host: host, store: store, at: now)
  }

  private mutating func perform(_ action: ExecutorAction, host: SimulatedHost, store: any QueueStore, at now: Timestamp)
  {
    do {
      switch action {
      case .abandon: isOver = true
      case .finish(let commit):
        if host.commits[lease.job] != commit { host.note("\(lease.job) finished by what is not its commit") }
        try store.finish(lease, with: commit, at: now)
        event = .recorded
      case .retryLater(let fault):
        _ = try store.fail(lease, with: fault, at: now)
        event = .recorded
      case .release:
        try store.release(lease, at: now)
        event = .recorded
      case .cancel:
        try store.cancel(lease, at: now)
        event = .recorded
      case .giveUp:
        try store.giveUp(lease, at: now)
        event = .recorded
      default: event = host.perform(action, lease: lease, progress: &progress)
      }
    } catch QueueError.fenced {
      event = .notRecorded
    } catch {
      host.note("\(error)")
      event = .notRecorded
    }
  }
}
