import ArgumentParser
import Client
import ObjectStore
import SealedCrypto
import Wire

/// A job as commands take it: a name or the beginning of one that the ledger knows, or a whole name that it does not.
enum JobArgument {
  static func resolve(_ text: String, _ ledger: Ledger) throws -> (job: JobName, entry: LedgerEntry?) {
    if let job = ContentDigest(hex: text.lowercased()) { return (job, try ledger.entry(job)) }
    let entry = try ledger.entry(named: text)
    return (entry.record.job, entry)
  }

  /// A job that is in the ledger.
  static func own(_ text: String, _ ledger: Ledger) throws -> LedgerEntry {
    guard let entry = try resolve(text, ledger).entry else {
      throw ClientError(
        .notFound, "the ledger has no job \(text.prefix(64))", remedy: "`ephemeral list` shows your jobs")
    }
    return entry
  }
}

/// `ephemeral status`.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "One job: what you sent, and what the host says of it.",
    discussion: """
      What the host says is not signed; `ephemeral receipts verify JOB` says what is proven.

      Example:
        ephemeral status 3fa9b2
      """)
  @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
  var job: String
  @OptionGroup var options: ClientOptions

  private static func upload(_ entry: LedgerEntry?) -> String {
    guard let entry, entry.uploadedMs == nil else { return "" }
    return entry.abandonedMs == nil ? ", upload still due: run `ephemeral submit`" : ", abandoned: its number is void"
  }

  func run() throws {
    let context = try options.context()
    let screen = context.screen
    let profile = try context.profile()
    let (job, entry) = try JobArgument.resolve(self.job, Ledger(home: context.home))
    let store = try context.store()
    let watcher = Watcher(store: store)
    let statement = try watcher.hostStatement(job)
    let commit = try watcher.commit(job)
    let record = commit == nil ? entry?.record : nil
    let trouble = try record.flatMap {
      try JobFollower(context: context, profile: profile, store: store).trouble(of: $0)
    }
    screen.line(
      .object([
        ("job", .text(job.hex)), ("evidence_class", .text(profile.evidenceClass.rawValue)),
        ("uploaded", .optional(entry?.uploadedMs)), ("host_says", .optional(statement?.state)),
        ("attempt", .optional(statement?.attempt)), ("done", .optional(statement?.done)),
        ("items", .optional(entry?.record.inputItems)), ("receipt", .bool(commit != nil)),
        ("trouble", .optional(trouble?.reason)),
      ]))
    screen.out("job            \(job.hex)")
    if let record = entry?.record {
      screen.out("input          \(Shown.printable(record.source)), \(Shown.count(record.inputItems, "item"))")
      screen.out("stream         \(record.stream.name), number \(record.stream.sequence)")
      screen.out(
        "submitted      \(Timestamps.text(record.createdMs))\(Self.upload(entry))"
      )
    } else {
      screen.out("ledger         not one of yours")
    }
    screen.out("the host says  \(statement.map { JobFollower.shown($0, entry?.record.inputItems) } ?? "nothing")")
    screen.out(
      "receipt        \(commit == nil ? "none yet" : "there: `ephemeral receipts verify \(job.hex.prefix(12))`")")
    if let (reason, remedy) = trouble { screen.out("trouble        \(reason); \(remedy)") }
  }
}

/// `ephemeral list`.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Your jobs, newest last.",
    discussion: "Example:\n  ephemeral list --limit 50")
  @OptionGroup var options: ClientOptions
  @Option(help: "At most so many.")
  var limit: Int = 20
  @Flag(help: "Do not ask the store.")
  var offline = false

  func run() throws {
    let context = try options.context()
    let screen = context.screen
    let watcher = offline ? nil : context.settings.store == nil ? nil : Watcher(store: try context.store())
    let entries = try Ledger(home: context.home).entries().suffix(max(0, limit))
    if entries.isEmpty { return screen.note("no jobs yet: `ephemeral submit FOLDER`") }
    screen.out("JOB           SUBMITTED             STREAM           ITEMS  THE HOST SAYS")
    for entry in entries {
      let record = entry.record
      let said = try watcher.flatMap { try Self.said(of: record.job, $0) }
      let state = entry.abandonedMs != nil ? "abandoned" : entry.uploadedMs == nil ? "upload due" : said ?? "–"
      screen.line(
        .object([
          ("job", .text(record.job.hex)), ("created", .unsigned(record.createdMs)),
          ("stream", .text(record.stream.name)),
          ("sequence", .unsigned(record.stream.sequence)), ("items", .unsigned(record.inputItems)),
          ("profile", .text(record.profile)), ("uploaded", .optional(entry.uploadedMs)), ("host_says", .optional(said)),
        ]))
      let stream = Screen.padded("\(Shown.printable(record.stream.name, limit: 12)) #\(record.stream.sequence)", 17)
      screen.out(
        "\(record.job.hex.prefix(12))  \(Timestamps.text(record.createdMs))  \(stream)\(Screen.padded(Shown.number(record.inputItems), 7))\(state)"
      )
    }
  }
}

extension ListCommand {
  /// One job of which the host wrote nonsense hides none of the others.
  private static func said(of job: JobName, _ watcher: Watcher) throws -> String? {
    do {
      return try watcher.commit(job) == nil ? try watcher.hostStatement(job)?.state : "receipt"
    } catch let error as ClientError where error.kind == .invalid {
      return "unreadable commit"
    } catch let error as ObjectStoreError where error.isOfOneObject {
      return "unreadable commit"
    }
  }
}

/// `ephemeral watch`.
struct WatchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Follow a job until its receipt, and verify that.",
    discussion: """
      Ends with the job's outcome: 0 completed, 3 partial, 4 failed or refused; 20 or 21 when the receipt does not verify.

      Example:
        ephemeral watch 3fa9b2 --timeout 600
      """)
  @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
  var job: String
  @OptionGroup var options: ClientOptions
  @Option(help: ArgumentHelp("Give up after so long (exit code 6).", valueName: "seconds"))
  var timeout: Int?

  func run() throws {
    let context = try options.context()
    let profile = try context.profile()
    let (job, entry) = try JobArgument.resolve(self.job, Ledger(home: context.home))
    let status = try JobFollower(context: context, profile: profile, store: try context.store())
      .follow(job, timeoutSeconds: timeout, items: entry?.record.inputItems, record: entry?.record)
    if status != .done { throw ExitCode(status.rawValue) }
  }
}

/// `ephemeral cancel`.
struct CancelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "Ask for a job to be stopped.",
    discussion: """
      Puts a statement signed by you into the inbox. Whether the host obeys, the receipt shows.

      Example:
        ephemeral cancel 3fa9b2
      """)
  @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
  var job: String
  @OptionGroup var options: ClientOptions

  func run() throws {
    let context = try options.context()
    _ = try context.profile()
    let (job, _) = try JobArgument.resolve(self.job, Ledger(home: context.home))
    try Canceller(store: try context.store()).cancel(
      job, with: try context.home.keys.signingKey(.submitter), nowMs: Timestamps.nowMs())
    context.screen.line(.object([("event", .text("cancel-sent")), ("job", .text(job.hex))]))
    context.screen.out(
      "asked the host to stop \(job.hex.prefix(12)); `ephemeral watch \(job.hex.prefix(12))` shows how it ended")
  }
}
