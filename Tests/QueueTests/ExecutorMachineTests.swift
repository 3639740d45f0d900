import Testing
import Wire

@testable import Queue

@Suite("Executor machine")
struct ExecutorMachineTests {
  private func lease(cancelRequested: Bool = false, isExhausted: Bool = false) throws -> Lease {
    Lease(
      job: try jobName(1), queue: try queueName("default"), attempt: 2, token: LeaseToken(rawValue: 7),
      bundleBytes: 1_000, claimedAt: .start, leaseUntil: .start, deadlineAt: .start, cancelRequested: cancelRequested,
      isExhausted: isExhausted)
  }

  /// Feeds events and shows the actions; a hyphen stands for none.
  private func trace(_ lease: Lease, _ events: [ExecutorEvent]) -> [String] {
    var machine = ExecutorMachine(lease)
    return events.map { event in machine.handle(event).map(short) ?? "-" }
  }

  private func short(_ action: ExecutorAction) -> String {
    switch action {
    case .lookUpCommit: "look"
    case .startJob(let attempt): "start \(attempt)"
    case .readRequest: "read"
    case .sendPiece: "send"
    case .appendResult(let file, _, let cancel): "append \(file.name)\(cancel ? " cancel" : "")"
    case .acknowledge(let cancel): "ack\(cancel ? " cancel" : "")"
    case .storeResults: "store"
    case .writeCommit(let commit): "commit \(commit.attempt) \(commit.outcome.rawValue)"
    case .finish(let commit): "finish \(commit.attempt) \(commit.outcome.rawValue)"
    case .retryLater(let fault): "retry \(fault.faultClass.rawValue)"
    case .release: "release"
    case .cancel: "cancel"
    case .giveUp: "give up"
    case .abandon: "abandon"
    }
  }

  private let toServing: [ExecutorEvent] = [.claimed, .commitLookedUp(nil), .workerConnected]

  @Test("An undisturbed job is streamed, stored, committed, finished")
  func wholeJob() throws {
    let receipt = try jobName(9)
    let actions = trace(
      try lease(),
      toServing + [
        .requestReceived(.pull(.bundle)), .replied, .requestReceived(.write(.output, [1])), .replied,
        .requestReceived(.progress(done: 5)), .replied, .requestReceived(.end(.ok, receipt: [2])),
        .resultsStored(.completed, receipt: receipt), .commitWritten, .recorded, .recorded,
      ])
    #expect(
      actions == [
        "look", "start 2", "read", "send", "read", "append output.jsonl", "read", "ack", "read", "store",
        "commit 2 completed", "finish 2 completed", "-", "-",
      ])
  }

  @Test("A receipt ends a job whatever its code", arguments: [OutwardCode.ok, .refused, .failed])
  func receipts(code: OutwardCode) throws {
    let actions = trace(
      try lease(),
      toServing + [
        .requestReceived(.end(code, receipt: [1])), .resultsStored(.refused, receipt: try jobName(9)), .commitWritten,
      ])
    #expect(actions.suffix(3) == ["store", "commit 2 refused", "finish 2 refused"])
  }

  @Test("A job that has a commit is finished from it, without a worker")
  func existingCommit() throws {
    let found = trace(try lease(isExhausted: true), [.claimed, .commitLookedUp(try .sample(1, .partial)), .recorded])
    #expect(found == ["look", "finish 1 partial", "-"])
    let late = trace(
      try lease(),
      toServing + [
        .requestReceived(.end(.ok, receipt: [1])), .resultsStored(.completed, receipt: try jobName(9)),
        .commitExisted(try .sample(1, .failed)),
      ])
    #expect(late.last == "finish 1 failed")
  }

  @Test("Only after a look for a commit is a job cancelled or given up")
  func endings() throws {
    #expect(trace(try lease(cancelRequested: true), [.claimed, .commitLookedUp(nil)]) == ["look", "cancel"])
    #expect(trace(try lease(isExhausted: true), [.claimed, .commitLookedUp(nil)]) == ["look", "give up"])
  }

  @Test("What the protocol does not allow ends the attempt")
  func protocolFaults() throws {
    let events: [ExecutorEvent] = [
      .requestReceived(.end(.ok, receipt: nil)), .requestReceived(.end(.retry, receipt: [1])),
    ]
    for event in events { #expect(trace(try lease(), toServing + [event]).last == "retry worker_protocol") }
    #expect(trace(try lease(), toServing + [.requestReceived(.end(.retry, receipt: nil))]).last == "retry worker_retry")
    // Which it said where: before the bundle opened, or after.
    let pulled: [ExecutorEvent] = [.requestReceived(.pull(.bundle)), .replied]
    let opened: [ExecutorEvent] = [.requestReceived(.progress(done: 0)), .replied]
    let end: [ExecutorEvent] = [.requestReceived(.end(.retry, receipt: nil))]
    #expect(trace(try lease(), toServing + pulled + end).last == "retry bundle_unopened")
    #expect(trace(try lease(), toServing + pulled + opened + pulled + end).last == "retry worker_retry")
  }

  @Test("Interruptions end an attempt before its receipt is there, and not after")
  func interruptions() throws {
    let interruptions: [(ExecutorEvent, String)] = [
      (.deadlinePassed, "retry deadline_exceeded"), (.shutdown, "release"), (.leaseLost, "abandon"),
      (.fault(Fault(.workerLost)), "retry worker_lost"),
    ]
    let toCommitting: [ExecutorEvent] =
      toServing + [.requestReceived(.end(.ok, receipt: [1])), .resultsStored(.completed, receipt: try jobName(9))]
    for (event, expected) in interruptions {
      for length in 1...toServing.count {
        #expect(trace(try lease(), toServing.prefix(length) + [event]).last == expected)
      }
    }
    for event in [ExecutorEvent.deadlinePassed, .shutdown, .cancelRequested] {
      #expect(trace(try lease(), toCommitting + [event, .commitWritten]).suffix(2) == ["-", "finish 2 completed"])
    }
    #expect(trace(try lease(), toCommitting + [.fault(Fault(.storeUnavailable))]).last == "retry store_unavailable")
    #expect(trace(try lease(), toCommitting + [.leaseLost, .commitWritten]).suffix(2) == ["abandon", "-"])
  }

  @Test("A cancel is handed to the worker, which stops without a receipt: the job is cancelled, not tried again")
  func runningCancel() throws {
    let actions = trace(
      try lease(),
      toServing + [
        .cancelRequested, .requestReceived(.progress(done: 1)), .replied, .requestReceived(.write(.errors, [])),
        .replied, .requestReceived(.end(.retry, receipt: nil)), .recorded,
      ])
    #expect(actions.suffix(7) == ["-", "ack cancel", "read", "append errors.jsonl cancel", "read", "cancel", "-"])
  }

  @Test("A receipt that comes in spite of a cancel ends the job")
  func lateCancel() throws {
    let actions = trace(try lease(), toServing + [.cancelRequested, .requestReceived(.end(.ok, receipt: [1]))])
    #expect(actions.suffix(2) == ["-", "store"])
  }

  @Test("Once the last action is under way only its record counts")
  func lastAction() throws {
    let toFinish: [ExecutorEvent] = [.claimed, .commitLookedUp(try .sample(1))]
    #expect(
      trace(try lease(), toFinish + [.leaseLost, .shutdown, .recorded, .leaseLost]).suffix(4).allSatisfy { $0 == "-" })
    #expect(trace(try lease(), toFinish + [.notRecorded]).last == "abandon")
  }

  @Test("An event out of place abandons the attempt")
  func outOfPlace() throws {
    #expect(trace(try lease(), [.commitWritten, .claimed]) == ["abandon", "-"])
    #expect(trace(try lease(), toServing + [.commitLookedUp(nil)]).last == "abandon")
  }
}
