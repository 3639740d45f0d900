import Testing
import Wire

@testable import Queue

@Suite("Intake")
struct IntakeTests {
  @Test("Only the exact forms of a key mean anything")
  func keys() throws {
    let name = try jobName(0xab)
    let bundle = InboxKey.bundle(try queueName("night-1"), name)
    #expect(InboxKey("inbox/night-1/\(name.hex).age") == bundle)
    let folder = InboxKey.bundle(try queueName("night-1"), tenant: TenantName("team-a"), name)
    #expect(InboxKey("inbox/night-1/team-a/\(name.hex).age") == folder)
    for key in [bundle, folder] { #expect(InboxKey(try #require(key.key)) == key) }
    #expect(bundle.key == "inbox/night-1/\(name.hex).age")
    #expect(InboxKey("inbox/cancel/\(name.hex).cose") == .cancel(name))
    let unknown = [
      "", "inbox", "inbox/", "inbox//\(name.hex).age", "inbox/a/B/\(name.hex).age", "inbox/a/\(name.hex)",
      "inbox/a/b/c/\(name.hex).age", "inbox/a//\(name.hex).age", "inbox/a/cancel/\(name.hex).age",
      "inbox/cancel/a/\(name.hex).cose",
      "inbox/a/\(String(repeating: "t", count: 64))/\(name.hex).age",
      "inbox/a/\(name.hex.uppercased()).age", "inbox/a/\(name.hex.dropLast()).age", "inbox/A/\(name.hex).age",
      "inbox/../\(name.hex).age", "inbox/cancel/\(name.hex).age", "inbox/a/\(name.hex).cose", "jobs/a/\(name.hex).age",
      "inbox/-a/\(name.hex).age", "/inbox/a/\(name.hex).age", String(repeating: "a", count: 10_000),
    ]
    for key in unknown { #expect(InboxKey(key) == .unknown, "\(key)") }
  }

  /// An inbox in memory, in pages of two.
  private final class Inbox: InboxReader {
    var objects: [InboxObject] = []
    var cancels: [ContentDigest: CancelExamination] = [:]
    var examined: [ContentDigest] = []

    func listInbox(after: String?) throws -> (objects: [InboxObject], next: String?) {
      let rest = objects.sorted { $0.key < $1.key }.filter { $0.key > after ?? "" }
      return (Array(rest.prefix(2)), rest.count > 2 ? rest[1].key : nil)
    }

    func examineCancel(_ statement: ContentDigest) -> CancelExamination {
      examined.append(statement)
      return cancels[statement] ?? .unavailable
    }

    func add(_ job: UInt64, queue: String, bytes: Int64 = 500) throws {
      objects.append(InboxObject(key: "inbox/\(queue)/\(try jobName(job).hex).age", bytes: bytes))
    }

    func addCancel(_ statement: UInt64, _ examination: CancelExamination) throws {
      objects.append(InboxObject(key: "inbox/cancel/\(try jobName(statement).hex).cose", bytes: 300))
      cancels[try jobName(statement)] = examination
    }
  }

  @Test("A pass whose time is over ends behind its first page, and says that it is not complete")
  func cutPass() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let inbox = Inbox()
    for job in UInt64(1)...3 { try inbox.add(job, queue: "default") }
    var driver = IntakeDriver(routes: InboxRoutes(schedules: []), store: fixture.store, inbox: inbox)
    let cut = try driver.pass(at: .start, isOver: { true })
    #expect(!cut.isComplete && cut.newJobs.count == 2)
    let whole = try driver.pass(at: .start)
    #expect(whole.isComplete && whole.newJobs.count == 1 && whole.bundles == 3)
  }

  @Test("A pass enqueues what is new, holds what belongs to a schedule, and leaves the rest alone")
  func onePass() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let inbox = Inbox()
    for number in UInt64(1)...3 { try inbox.add(number, queue: "default") }
    try inbox.add(4, queue: "night")
    try inbox.add(5, queue: "other")
    try inbox.add(6, queue: "default", bytes: 5_000)
    try inbox.add(7, queue: "default", bytes: 0)
    inbox.objects.append(InboxObject(key: "inbox/default/readme.txt", bytes: 1))
    let routes = InboxRoutes(
      [
        try queueName("default"): InboxRoute(priority: 3, bundleBytesLimit: 1_000),
        try queueName("night"): InboxRoute(isHeld: true),
      ], fallback: nil)
    var driver = IntakeDriver(routes: routes, store: fixture.store, inbox: inbox)
    let first = try driver.pass(at: .start)
    #expect(first.bundles == 4 && first.newJobs.count == 4 && first.ignored == 4 && first.isComplete)
    #expect(first.ignoredExamples.contains("inbox/default/readme.txt"))
    #expect(try fixture.store.list(JobFilter(state: .held)).map(\.name) == [jobName(4)])
    #expect(try fixture.store.list(JobFilter(state: .ready)).map(\.priority) == [3, 3, 3])
    try inbox.add(8, queue: "night")
    let second = try driver.pass(at: .start)
    #expect(second.newJobs == [try jobName(8)] && second.bundles == 5)
  }

  @Test("Tenants are the folders of a queue, and made-up folders do not become queues without end")
  func folders() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let inbox = Inbox()
    try inbox.add(1, queue: "default/team-a")
    try inbox.add(2, queue: "zz-night/team-a")
    let madeUp = UInt64(QueueLimits.unnamedQueues) + 20
    for number in 0..<madeUp { try inbox.add(100 + number, queue: "a-\(number)") }
    let routes = InboxRoutes([try queueName("zz-night"): InboxRoute(isHeld: true)])
    var driver = IntakeDriver(routes: routes, store: fixture.store, inbox: inbox)
    for _ in 0..<2 {
      let summary = try driver.pass(at: .start)
      #expect(summary.ignored == 20 && summary.bundles == Int(madeUp) - 20 + 2)
    }
    let job = try #require(try fixture.store.inspect(jobName(1))?.job)
    #expect(job.tenant == "team-a" && job.inboxFolder == "default/team-a")
    #expect(try fixture.store.inspect(jobName(2))?.job.state == .held)
    #expect(try fixture.store.stats().count == QueueLimits.unnamedQueues + 2)
  }

  @Test("Cancels are applied once, invalid ones are not read again, unreadable ones are")
  func cancels() throws {
    let fixture = try StoreFixture(.sqlite)
    defer { fixture.remove() }
    let inbox = Inbox()
    try inbox.add(1, queue: "default")
    try inbox.addCancel(101, .valid(try jobName(1)))
    try inbox.addCancel(102, .valid(try jobName(2)))
    try inbox.addCancel(103, .invalid)
    try inbox.addCancel(104, .unavailable)
    var driver = IntakeDriver(routes: InboxRoutes(), store: fixture.store, inbox: inbox)
    let first = try driver.pass(at: .start)
    #expect(first.invalidCancels == 1 && inbox.examined.count == 4)
    #expect(try first.cancelledJobs.isEmpty && first.newJobs == [jobName(1)])
    inbox.examined = []
    try inbox.add(2, queue: "default")
    let second = try driver.pass(at: .start)
    #expect(inbox.examined == [try jobName(104)] && second.isComplete)
    let states = try fixture.store.list(JobFilter()).map(\.state)
    #expect(states == [.cancelled, .cancelled])

    try inbox.add(3, queue: "default")
    _ = try driver.pass(at: .start)
    try inbox.addCancel(105, .valid(try jobName(3)))
    #expect(try driver.pass(at: .start).cancelledJobs == [jobName(3)])
  }

  @Test("A listing that fails ends the pass, and the next pass sees everything")
  func failure() throws {
    var machine = IntakeMachine(routes: InboxRoutes())
    #expect(machine.handle(.begin) == .list(after: nil))
    #expect(machine.handle(.failed) == nil)
    #expect(!machine.summary.isComplete)
    #expect(machine.handle(.begin) == .list(after: nil))
    #expect(machine.handle(.listed([], next: "x")) == .enqueue([]))
    #expect(machine.handle(.enqueued([])) == .list(after: "x"))
  }
}
