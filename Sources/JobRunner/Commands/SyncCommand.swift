import ArgumentParser
import Client
import Inference
import SealedCrypto
import Wire

/// `ephemeral sync`.
struct SyncCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sync", abstract: "Seal what is new or changed in a folder and leave it for a schedule's next run.",
    discussion: """
      Made for cron and systemd timers. The home's ledger knows which documents each job carried, so each is sent once and
      again when its text changes. A night with nothing new sends an empty job, which proves just that. Earlier jobs of the
      stream are looked after: each receipt is verified once, what lacks one is named, and --fetch writes the results.

      Killed at any point, the next sync goes on where this one was: a job that was sealed is uploaded with the same
      bytes, and a document counts as sent exactly when its job is in the ledger. Documents that somebody is writing to
      are left for the next sync. Another model means all documents again; a new policy does not, nor another
      instruction, which holds for what is sent from then on (--force-all sends all again).

      Exit codes: 0 all is sent; 3 sent, but look: documents were left out, or an earlier job ended without all results;
      5 another sync runs or the store is away; 21 sent, but an earlier receipt does not verify; 10 there is no such
      folder. The others as everywhere.

      Examples:
        ephemeral sync reports/ --schedule nightly-embeddings
        ephemeral sync reports/ --schedule nightly-embeddings --fetch results/
        ephemeral sync reports/ --schedule nightly-embeddings --dry-run
        ephemeral sync reports/ --schedule nightly-summaries --model llama --instruction summarise.txt --schema summary.json
      """)

  @Argument(help: "A folder of text files, read as `submit` reads one.")
  var folder: String
  @OptionGroup var options: ClientOptions
  @Option(help: ArgumentHelp("The schedule whose next run takes the documents.", valueName: "name"))
  var schedule: String
  @Option(
    help: ArgumentHelp("Whose numbers the jobs take, one for each folder (default: the schedule's).", valueName: "name")
  )
  var stream: String?
  @OptionGroup var submission: SubmissionOptions
  @Option(help: ArgumentHelp("Write the verified results of earlier jobs to folder/NUMBER.", valueName: "folder"))
  var fetch: String?
  @Option(help: "With --fetch: jsonl, npy or text.")
  var format: ResultsFormat = .jsonl
  @Flag(help: "Tell what would be sent; seal, upload and record nothing.")
  var dryRun = false
  @Flag(help: "Send every document again.")
  var forceAll = false
  @Flag(help: "Send no job when nothing changed. An audit of nights then misses it.")
  var skipEmpty = false
  @Flag(help: "Send the documents of earlier jobs that ended without results again.")
  var retryLost = false
  @Flag(help: "The folder may hold no file any more: all documents are taken for deleted.")
  var mayBeEmpty = false
  @Flag(help: "The folder is the one of before, at another place.")
  var moved = false
  @Option(help: ArgumentHelp("Leave what was written to within so long for the next sync.", valueName: "seconds"))
  var quiet: Int = 0
  @Option(
    help: ArgumentHelp("Wait so long for another sync of the stream (default: not at all).", valueName: "seconds"))
  var waitLock: Int = 0

  func validate() throws {
    guard (0...86_400).contains(quiet), (0...86_400).contains(waitLock) else {
      throw ValidationError("--quiet and --wait-lock take 0 to 86400 seconds.")
    }
    guard QueueFolder.isLegal(schedule) else { throw ValidationError(QueueFolder.rule) }
  }

  func run() throws {
    let context = try options.context(model: submission.model, precision: submission.precision)
    let profile = try context.profile()
    let store = try context.store()
    let report = SyncReport(screen: context.screen, store: store.location)
    let summary = try Syncer(home: context.home, profile: profile, store: store)
      .run(try request(context.settings), nowMs: Timestamps.nowMs(), report: report.show)
    let status = Self.status(summary)
    report.end(summary, isDryRun: dryRun, profile.evidenceClass.rawValue, status)
    if status != .done { throw ExitCode(status.rawValue) }
  }

  /// What a sync that ran to its end means for a script.
  static func status(_ summary: SyncSummary) -> ExitStatus {
    if !summary.invalid.isEmpty { return .invalid }
    return summary.needsLook ? .partial : .done
  }

  private func request(_ settings: ClientSettings) throws -> SyncRequest {
    var submission = try submission.request(settings)
    submission.queue = schedule
    submission.stream = stream
    var request = SyncRequest(folder: folder, submission: submission)
    request.forceAll = forceAll
    request.skipsEmpty = skipEmpty
    request.retriesLost = retryLost
    request.mayBeEmpty = mayBeEmpty
    request.isMoved = moved
    request.quietSeconds = UInt64(quiet)
    request.lockWaitMs = UInt64(waitLock) * 1000
    request.fetchFolder = fetch
    request.fetchFormat = format
    request.isDryRun = dryRun
    return request
  }
}
