import ArgumentParser
import Attestation
import Client
import Glibc
import ObjectStore
import Queue
import SealedCrypto
import Wire

/// What `receipts audit` and `receipts report` take.
struct AuditOptions: ParsableArguments {
  @Argument(
    help: "A folder of receipts, one receipt, or a store: s3://bucket/prefix, file:///folder.", completion: .file())
  var source: String
  @OptionGroup var options: ClientOptions
  @Option(help: ArgumentHelp("Only this stream: a name of your ledger, or its 32 digits.", valueName: "name"))
  var stream: String?
  @Flag(help: "Compare with this home's ledger: every number of its streams must be there.")
  var ledger = false
  @Option(
    help: ArgumentHelp("A stream's head, signed by its submitter; may be repeated.", valueName: "file"),
    completion: .file())
  var head: [String] = []
  @Option(
    help: ArgumentHelp("Further policies, signed by the profile's policy key; may be repeated.", valueName: "path"),
    completion: .file())
  var policies: [String] = []
  @Flag(help: "With a store: open the manifests in the sealed results with your identity, for the void numbers.")
  var open = false
  @Option(
    help: ArgumentHelp("Nights begin when this is due: a schedule's file, or five cron fields.", valueName: "schedule"))
  var nights: String?
  @Option(help: ArgumentHelp("IANA time zone of cron fields (default: UTC).", valueName: "zone"))
  var timeZone: String?
  @Option(help: ArgumentHelp("Nights of one length from --since on: 24h, 90m, 7d.", valueName: "length"))
  var expectEvery: String?
  @Option(
    help: ArgumentHelp("The first night begins then or later: 2026-11-01 or 2026-11-01T02:00:00Z.", valueName: "time"))
  var since: String?
  @Option(help: ArgumentHelp("The last night ends then.", valueName: "time"))
  var until: String?
  @Option(
    help: ArgumentHelp(
      "A job of the ledger counts as missing when its time was over then (default: now).", valueName: "time"))
  var asOf: String?

  func validate() throws {
    guard nights == nil || expectEvery == nil else { throw ValidationError("--nights or --expect-every, not both.") }
    if nights != nil || expectEvery != nil, since == nil || until == nil {
      throw ValidationError("--nights and --expect-every need --since and --until.")
    }
    guard nights != nil || expectEvery != nil || (since == nil && until == nil) else {
      throw ValidationError("--since and --until go with --nights or --expect-every: all receipts are judged.")
    }
    guard timeZone == nil || nights != nil else { throw ValidationError("--time-zone goes with --nights.") }
  }

  /// Everything that an audit works with.
  func prepare() throws -> PreparedAudit {
    let context = try options.context()
    let profile = try context.profile()
    let archive = try PolicyArchive(home: context.home, profile: profile, paths: policies)
    var plan = AuditPlan(asOfMs: try asOf.map { try AuditTime.parse($0) } ?? Timestamps.nowMs())
    let streams = try Ledger(home: context.home).streams(profile: profile.name)
    plan.stream = try stream.map { try Self.stream($0, streams) }
    if ledger {
      plan.ledger = streams.filter { plan.stream == nil || $0.id == plan.stream }
      if plan.ledger.isEmpty {
        throw ClientError(
          .notFound, "the ledger of \(context.home.path) has no such stream under profile \(profile.name)",
          remedy: "run it in the submitter's home, or take a head")
      }
    }
    plan.heads = try head.map { try archive.head($0) }
    plan.nights = try nightPlan()
    let store = try Self.store(source)
    if open {
      guard let store else {
        throw ClientError(
          .usage, "a folder of receipts holds no sealed results", remedy: "name the store, or no --open")
      }
      plan.copies = ManifestCopies(
        store: store, identities: try context.home.keys.identities(), policies: archive.policies)
    }
    let receipts: any ReceiptSource = store.map { ReceiptStore($0) } ?? ReceiptFolder(path: source)
    return PreparedAudit(context: context, profile: profile, archive: archive, plan: plan, source: receipts)
  }

  /// A store by its URL, or by its folder: one that has `jobs/` in it and was no folder of receipts.
  private static func store(_ source: String) throws -> (any ObjectStore)? {
    if source.hasPrefix("s3://") || source.hasPrefix("file://") { return try StoreURL.open(source) }
    guard try PrivateFiles.isDirectory("\(source)/jobs") == true, let path = realpath(source, nil) else { return nil }
    defer { free(path) }
    return try StoreURL.open(String(cString: path))
  }

  private static func stream(_ text: String, _ streams: [LedgerStream]) throws -> [UInt8] {
    if let id = Hex.decode(text.lowercased()), id.count == 16 { return id }
    let found = streams.filter { $0.name == text }
    guard let stream = found.first, found.count == 1 else {
      throw ClientError(
        .notFound, "the ledger has \(found.isEmpty ? "no" : "several") streams called \"\(text.prefix(80))\"",
        remedy: "give the stream's 32 digits; an audit without --stream shows them")
    }
    return stream.id
  }

  private func nightPlan() throws -> NightPlan? {
    guard let since, let until else { return nil }
    let (sinceMs, untilMs) = (try AuditTime.parse(since), try AuditTime.parse(until))
    if let expectEvery {
      return try NightPlan(everyMs: try AuditTime.length(expectEvery), sinceMs: sinceMs, untilMs: untilMs)
    }
    guard let nights else { return nil }
    let calendar = try calendar(nights)
    var begins: [UInt64] = []
    var moment = Timestamp(milliseconds: Int64(clamping: sinceMs) - 1)
    while begins.count <= NightPlan.limit, let next = calendar.next(after: moment),
      next.milliseconds < Int64(clamping: untilMs)
    {
      begins.append(UInt64(clamping: next.milliseconds))
      moment = next
    }
    return try NightPlan(begins: begins, sinceMs: sinceMs, untilMs: untilMs)
  }

  private func calendar(_ text: String) throws -> CronCalendar {
    do {
      if text.contains(" ") || text.hasPrefix("@") {
        return try CronCalendar(try CronExpression(text), timeZone: timeZone ?? "UTC")
      }
      guard let calendar = try ScheduleFile.read(file: text).calendar else {
        throw ScheduleError("\(text): this schedule is run by hand alone")
      }
      return calendar
    } catch let error as ScheduleError {
      throw ClientError(
        .usage, "--nights: \(error)", remedy: "name a schedule's file, or cron fields such as \"0 2 * * *\"")
    }
  }
}

/// Times and lengths as an auditor types them.
enum AuditTime {
  /// `2026-11-01` or `2026-11-01T02:00:00Z`, as milliseconds since 1970.
  static func parse(_ text: String) throws -> UInt64 {
    guard let time = Timestamps.milliseconds(text.count == 10 ? "\(text)T00:00:00Z" : text) else {
      throw ClientError(
        .usage, "\"\(text.prefix(40))\" is no time", remedy: "write 2026-11-01 or 2026-11-01T02:00:00Z, in UTC")
    }
    return time
  }

  /// `90m`, `24h`, `7d`, as milliseconds.
  static func length(_ text: String) throws -> UInt64 {
    let units: [Character: UInt64] = ["m": 60_000, "h": 3_600_000, "d": 86_400_000]
    guard let unit = text.last.flatMap({ units[$0] }), let count = UInt64(text.dropLast()),
      (1...100_000).contains(count)
    else {
      throw ClientError(.usage, "\"\(text.prefix(40))\" is no length of time", remedy: "write 24h, 90m or 7d")
    }
    return count * unit
  }
}
