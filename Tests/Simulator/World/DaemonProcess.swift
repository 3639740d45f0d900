import Queue
import Wire

/// One life of the daemon, from the opening of its database to its end.
final class DaemonProcess {
  /// 1 for the first.
  let number: Int
  let queue: SQLiteQueue
  /// The queue under test, observed.
  let store: any RetentionStore
  var isDead = false
  /// It was told to end, and gives back what is under way.
  var isStopping = false
  var isDraining = false
  private(set) var intake: IntakeDriver?
  private(set) var scheduler: SchedulerDriver?
  private var janitor: Janitor?
  private(set) var port: QueuePort?
  /// By worker.
  var attempts: [AttemptActor?]

  init(_ world: World, number: Int, queue: SQLiteQueue) {
    self.number = number
    self.queue = queue
    store = ObservedQueue(base: world.mutant.map { $0.wrap(queue) } ?? queue, world: world)
    attempts = Array(repeating: nil, count: world.profile.workers)
    let port = QueuePort(world, self)
    self.port = port
    intake = IntakeDriver(
      routes: World.routes, store: port, inbox: SimulatedInbox(world: world, process: self))
    scheduler = SchedulerDriver(World.schedules, store: port)
    janitor = Janitor(
      queue: port, objects: SimulatedObjects(world: world, process: self), policy: World.retention)
  }

  /// What the daemon's intake loop does in one pass.
  func turn(at now: Timestamp) throws {
    guard let port, var intake, let scheduler else { return }
    _ = try port.reap(.expired, at: now)
    defer { if !isDead { self.intake = intake } }
    _ = try intake.pass(at: now)
    _ = try scheduler.turn(by: port.world.clock)
  }

  /// A pass of the janitor. Only one is under way at a time.
  func sweep(at now: Timestamp) throws -> JanitorSummary {
    guard var janitor else { return JanitorSummary() }
    self.janitor = nil
    defer { if !isDead { self.janitor = janitor } }
    return try janitor.pass(at: now)
  }

  /// Breaks the cycles of references, and closes the database; of one that was cut off, nothing more reaches the disk.
  func close() {
    try? queue.close()
    port = nil
    intake = nil
    scheduler = nil
    janitor = nil
    attempts = []
  }
}

/// A worker's process, as the daemon meets it.
struct SimulatedWorker {
  var isUp = true
  /// Grows when it is started again; connections to an earlier boot are gone.
  var boot = 1
}
