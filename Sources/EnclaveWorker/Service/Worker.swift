import SealedCrypto
import Synchronization
import Wire

/// Everything that lives as long as the boot, and the answer to each activity.
final class Worker: Sendable {
  private let enclave: Enclave
  private let settings = SettingsStore()
  private let epochs = Epochs()
  private let models: ModelCache
  private let gate = JobGate()

  init(enclave: Enclave, memory: ModelMemory = ModelMemory()) {
    self.enclave = enclave
    models = ModelCache(memory: memory)
  }

  /// Serves one connection: one activity, its answer, the end. A peer's fault ends its connection and nothing else.
  func serve(_ channel: Channel) {
    defer { channel.close() }
    do {
      guard let frame = try channel.receive() else { return }
      switch try Activity(frame) {
      case .runJob(let attempt):
        try runJob(attempt, over: channel)
        // The host's answer to the last message: waited for, so that nothing of ours is cut off, and not looked at.
        _ = try? channel.receive()
      case let activity: try channel.send(answer(activity).encoded())
      }
    } catch {
      Log.note(.hostLost)
    }
  }

  private func answer(_ activity: Activity) -> WorkerReply {
    do {
      return try reply(to: activity)
    } catch let fault as WorkerFault {
      return WorkerReply(fault.code, advice: fault.advice)
    } catch let error as KMSFault {
      let fault = error.asWorkerFault
      return WorkerReply(fault.code, advice: fault.advice)
    } catch {
      return WorkerReply(.retry)
    }
  }

  private func reply(to activity: Activity) throws -> WorkerReply {
    let now = try enclave.milliseconds()
    switch activity {
    case .configure(let configuration):
      let installed = try settings.install(
        configuration, policyKey: enclave.policyKey, evidenceClass: enclave.evidenceClass, pin: enclave.policyPin,
        atMs: now)
      epochs.prune(under: installed.policy.claims, atMs: now)
      Log.note(.configured)
      return WorkerReply(.ok)
    case .status(let nonce):
      return WorkerReply(.ok, statement: try status(nonce: nonce, atMs: now).bytes)
    case .createEpoch(let number):
      let made = try epochs.create(number, for: settings.inForce(atMs: now), in: enclave)
      Log.note(.epochCreated)
      return WorkerReply(.ok, statement: made.announcement, seed: made.seed)
    case .loadEpoch(let seed, let announcement):
      try epochs.load(seed: seed, announcement: announcement, for: settings.inForce(atMs: now), in: enclave)
      Log.note(.epochLoaded)
      return WorkerReply(.ok)
    case .dropEpoch(let number):
      epochs.drop(number)
      Log.note(.epochDropped)
      return WorkerReply(.ok)
    case .runJob: throw WorkerFault.refused("a job has its own exchange")
    }
  }

  private func status(nonce: [UInt8], atMs now: UInt64) throws -> Signed<StatusClaims> {
    let policy = settings.current?.policy
    return try enclave.sign(
      StatusClaims(
        timeMs: now, software: Enclave.software, policyVersion: policy?.claims.version ?? 0,
        policyDigest: policy?.digest, epochs: Set(epochs.all.map(\.number)).sorted(), nonce: nonce, key: enclave.key))
  }

  /// One job, alone: computing never mixes jobs.
  ///
  /// - Throws: ``HostLost`` where the host is gone or broke the frames' protocol: then it is owed no last message.
  private func runJob(_ attempt: UInt64, over channel: Channel) throws {
    let link = JobLink(channel)
    do {
      guard gate.enter() else { throw WorkerFault.retry("another job is running") }
      defer { gate.leave() }
      Log.note(.jobStarted)
      let current = try settings.inForce(atMs: try enclave.milliseconds())
      try JobRun(
        enclave: enclave, settings: current, epochs: epochs, models: models, link: link, attempt: attempt
      ).run()
      Log.note(.jobEnded)
    } catch let error as HostLost {
      throw error
    } catch {
      // Nothing was decided: no receipt.
      Log.note(.jobInterrupted)
      try link.end(.retry, receipt: nil)
    }
  }
}

/// Lets one job in at a time. Whoever comes second waits a moment for one that is just ending, and is then sent away.
final class JobGate: Sendable {
  private let isTaken = Mutex(false)
  private let waitMilliseconds: Int

  init(waitMilliseconds: Int = 5_000) { self.waitMilliseconds = waitMilliseconds }

  func enter() -> Bool {
    for _ in 0...waitMilliseconds / 10 {
      let entered = isTaken.withLock { taken in
        defer { taken = true }
        return !taken
      }
      if entered { return true }
      pause(milliseconds: 10)
    }
    return false
  }

  func leave() { isTaken.withLock { $0 = false } }
}
