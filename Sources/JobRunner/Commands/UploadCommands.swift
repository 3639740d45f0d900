import ArgumentParser
import Client
import SealedCrypto
import Wire

/// `ephemeral resend`.
struct ResendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resend", abstract: "Upload a job's sealed bundle once more, when the host lost it.",
    discussion: """
      The bundle is kept here until its receipt verified. The same bytes go to the same name, so doing it twice changes
      nothing, and a host that has them still computes the job once.

      Example:
        ephemeral resend 3fa9b2
      """)
  @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
  var job: String
  @OptionGroup var options: ClientOptions

  func run() throws {
    let context = try options.context()
    _ = try context.profile()
    let ledger = Ledger(home: context.home)
    let entry = try JobArgument.own(job, ledger)
    let name = entry.record.job.hex.prefix(12)
    let isSent = try BundleUpload(ledger: ledger, store: try context.store()).resend(entry, nowMs: Timestamps.nowMs()) {
      context.screen.progress("uploading: \(Shown.bytes($0)) of \(Shown.bytes(entry.record.bundleBytes))")
    }
    context.screen.line(
      .object([("event", .text("resent")), ("job", .text(entry.record.job.hex)), ("sent", .bool(isSent))]))
    context.screen.out(
      isSent ? "uploaded \(name) again" : "the store has the bundle of \(name) still; nothing was sent")
    if entry.record.notAfterMs <= Timestamps.nowMs() {
      context.screen.note(
        "its time to run ended on \(Timestamps.text(entry.record.notAfterMs)): the enclave will refuse it, and say so in a receipt"
      )
    }
  }
}

/// `ephemeral abandon`.
struct AbandonCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "abandon", abstract: "Give up a job that was sealed and never uploaded.",
    discussion: """
      Its number becomes void: the stream's next manifest says so, and so does every head from now on, and an audit takes
      it for what it is. The number is not used again. Refused once the store has the bundle, since the host may compute
      it at any time; `ephemeral cancel` is for that.

      Example:
        ephemeral abandon 3fa9b2
      """)
  @Argument(help: "The job's name, or at least four digits of it.", completion: .ownJobs)
  var job: String
  @OptionGroup var options: ClientOptions
  @Flag(help: "The store is gone and cannot be asked whether it has the bundle after all.")
  var withoutStore = false

  func run() throws {
    let context = try options.context()
    _ = try context.profile()
    let ledger = Ledger(home: context.home)
    let entry = try JobArgument.own(job, ledger)
    if withoutStore {
      try ledger.abandon(entry, atMs: Timestamps.nowMs())
    } else {
      try BundleUpload(ledger: ledger, store: try context.store()).abandon(entry, nowMs: Timestamps.nowMs())
    }
    let stream = entry.record.stream
    context.screen.line(
      .object([
        ("event", .text("abandoned")), ("job", .text(entry.record.job.hex)), ("stream", .text(stream.name)),
        ("sequence", .unsigned(stream.sequence)),
      ]))
    context.screen.out(
      "number \(stream.sequence) of stream \(Shown.printable(stream.name)) is void; the next manifest will say so")
  }
}
