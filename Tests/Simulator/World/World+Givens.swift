import Queue
import Wire

// What all worlds have in common.

extension World {
  /// Days on which clocks change in Berlin, New York and on Lord Howe Island (by half an hour), and one on which none does.
  static let starts = [
    "2026-03-28T20:00Z": 1_774_728_000, "2026-10-24T20:00Z": 1_792_872_000, "2026-03-08T03:00Z": 1_772_938_800,
    "2026-04-04T10:00Z": 1_775_296_800, "2026-01-01T00:00Z": 1_767_225_600,
  ].values.sorted().map { Timestamp(milliseconds: $0 * 1_000) }

  /// Every word of catchup and overlap, in zones whose clocks change.
  static let schedules: [ScheduleDefinition] = [
    "name: hourly\ncron: 0 */2 * * *\ncatchup: latest\noverlap: skip\npriority: 2",
    "name: berlin\ncron: 30 2 * * *\ntimeZone: Europe/Berlin\ncatchup: all\noverlap: queue",
    "name: lord-howe\ncron: 5 2 * * *\ntimeZone: Australia/Lord_Howe\ncatchup: none\noverlap: replace",
    "name: new-york\ncron: 15 2,14 * * *\ntimeZone: America/New_York\noverlap: replace\nstartingDeadlineSeconds: 1800",
  ].compactMap { try? ScheduleFile.parse($0, file: "simulated.yaml") }

  /// Minutes instead of months.
  static let retention = RetentionPolicy(
    inboxGrace: .seconds(30), finished: .seconds(240), cancelled: .seconds(240), dead: .seconds(300),
    records: .seconds(5_400))

  /// So few that most runs take several steps.
  static let membersPerStep = 2

  static let queues = ["default", "team-a", "team-b"].compactMap(QueueName.init)

  /// Submitters who share a queue; nil for those whom it does not tell apart.
  static let tenants: [TenantName?] = [nil, TenantName("north"), TenantName("south")]

  static let routes: InboxRoutes = {
    var routes: [QueueName: InboxRoute] = [:]
    for (index, queue) in queues.enumerated() { routes[queue] = InboxRoute(priority: Int64(index % 2)) }
    for schedule in schedules {
      routes[schedule.queue] = InboxRoute(priority: schedule.priority, isHeld: true)
    }
    return InboxRoutes(routes, fallback: nil)
  }()

  /// An empty database, migrated once.
  static let template = Result { () throws -> SimulatedDisk in
    let disk = try SimulatedDisk(seed: 0)
    try SQLiteQueue(path: disk.path, retryPolicy: policy).close()
    return disk
  }

  /// The name of the bundle with this number.
  static func job(_ number: UInt64) -> JobName { digest(number, salt: 0x6a) }

  /// The digest of a writer's receipt, which is its bytes here as well.
  static func receipt(of writer: Int) -> ContentDigest { digest(UInt64(writer), salt: 0x72) }

  static func statement(_ number: UInt64) -> ContentDigest { digest(number, salt: 0x63) }

  /// Thirty-two bytes that a number spreads over.
  private static func digest(_ number: UInt64, salt: UInt64) -> ContentDigest {
    let random = SimulatedRandom(seed: number &* 0x9e37_79b9 &+ salt << 40)
    let bytes = (0..<4).flatMap { _ in withUnsafeBytes(of: random.next().bigEndian, Array.init) }
    guard let digest = try? ContentDigest(bytes) else { preconditionFailure("a digest has 32 bytes") }
    return digest
  }

  /// Bundles that fell every worker, and bundles that no key opens.
  static func isPoisonous(_ job: JobName) -> Bool { job.bytes[0] % 8 == 3 }
  static func isUnopenable(_ job: JobName) -> Bool { job.bytes[0] % 16 == 4 }
}
