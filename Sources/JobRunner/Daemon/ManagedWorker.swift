import Logging
import ObjectStore
import Queue
import Wire

/// What all workers of the daemon share.
struct WorkerSurroundings: Sendable {
  let queue: any QueueStore
  let store: any ObjectStore
  let clock: any QueueClock
  let states: StateWriter
  let policies: StorePolicy
  let shelf: EpochShelf
  let roster: WorkerRoster
  let credentials: any CredentialSource
  let events: any DaemonEvents
  let log: Logger
}

/// One worker and the loops that serve it alone: whatever it does or does not do holds up no other.
final class ManagedWorker: Sendable {
  let settings: WorkerSettings
  let health: WorkerHealth
  let supervisor: WorkerSupervisor
  let executor: ExecutorLoop
  private let watch: WorkerWatch
  private let program: WorkerProgram?

  /// - Parameters:
  ///   - relay: told this worker's policies, and where the worker finds it.
  ///   - silenceSeconds: for a worker that has none of its own.
  init(
    _ settings: WorkerSettings, relay: KMSRelay, relayAddress: Endpoint, silenceSeconds: Double,
    in shared: WorkerSurroundings
  ) {
    self.settings = settings
    var log = shared.log
    log[metadataKey: "worker"] = "\(settings.name)"
    let health = WorkerHealth(name: settings.name, clock: shared.clock, events: shared.events)
    self.health = health
    let client = WorkerClient(
      endpoint: settings.endpoint, stallMilliseconds: Int32((settings.silenceSeconds ?? silenceSeconds) * 1000))
    supervisor = WorkerSupervisor(
      name: settings.name, client: client, relay: relayAddress, policies: shared.policies, shelf: shared.shelf,
      credentials: shared.credentials, onPolicy: { relay.follow($0) },
      onStatus: { health.described(image: $0, policyVersion: $1) },
      onKeys: { [roster = shared.roster] in roster.keysChanged(at: settings.name) }, log: log)
    shared.roster.add(WorkerRoster.Member(health: health, queues: settings.queues))
    executor = ExecutorLoop(
      queue: shared.queue, store: shared.store, supervisor: supervisor, client: client, clock: shared.clock,
      states: shared.states, log: log, health: health, queues: settings.queues, roster: shared.roster,
      events: shared.events)
    watch = WorkerWatch(supervisor, health: health, log: log)
    program = settings.start.map { WorkerProgram($0, worker: settings.name, events: shared.events, log: log) }
  }

  /// Whether its loops turn.
  var pulses: [LoopPulse] { [executor.pulse, watch.pulse] }

  /// Its line on the status page.
  var line: WorkerLine {
    let view = health.view
    let isReady = view.state.takesJobs
    return WorkerLine(
      worker: settings.name, state: view.state.rawValue, isReady: isReady, reason: isReady ? nil : view.lastError,
      image: view.image, evidence: supervisor.board.evidence?.rawValue, sinceMs: view.since.milliseconds)
  }

  /// The process that the daemon started; nil where it starts none, or none runs now.
  var processID: Int32? { program?.processID }

  func start() {
    program?.start()
    executor.start()
    watch.start()
  }

  /// Tells the loops to end, without waiting for any; a worker's program goes on until ``stop(within:)``.
  func tellToStop() {
    executor.stop(within: 0)
    watch.stop(within: 0)
  }

  /// Ends the loops, then the program.
  func stop(within seconds: Double) {
    executor.stop(within: seconds)
    watch.stop(within: 1)
    program?.stop()
  }
}
