import ArgumentParser
import Foundation
import ObjectStore
import SealedCrypto
import Synchronization
import TestSupport
import Wire

/// `load backlog`: so many bundles wait when the daemon starts, one submitter has sent ten times as many as each of the
/// others, and half-way somebody new comes along.
struct Backlog: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "10,000 bundles waiting: throughput, each submitter's wait, memory, and exactly one commit for each.")

  @OptionGroup var options: LoadOptions
  @Option(help: "Bundles that wait in all.") var bundles = 10_000
  @Option(help: "Submitters beside the one that sends ten times as many.") var others = 10
  @Option(help: "Bundles of the submitter who comes half-way.") var late = 20

  func validate() throws {
    guard bundles >= 100, bundles <= 1_000_000, others >= 1, others <= 1000, options.workers >= 1 else {
      throw ValidationError("100 to 1,000,000 bundles, 1 to 1000 others, at least one worker.")
    }
  }

  func run() throws {
    let host = try HostUnderLoad(options)
    defer { host.stop() }
    let share = bundles / (others + 10)
    let submitters = [("flood", bundles - others * share)] + (1...others).map { ("team-\($0)", share) }

    say("uploading \(bundles) bundles of \(options.bundle) bytes to \(host.storeURL)")
    let uploadSeconds = try upload(submitters, to: host)
    say("the daemon starts")
    let begin = Account.now
    try host.startDaemon()
    guard let pid = host.daemon?.pid else { throw ExitCode.failure }
    while try (host.counts()?["ready"] ?? 0) < bundles { usleep(200_000) }
    let intakeSeconds = Account.now - begin
    let idle = ProcessFigures(pid)

    say("\(options.workers) workers start")
    for worker in host.workers { try worker.start() }
    let total = bundles + late
    var isLate = false
    var resident: [Double] = []
    var said = Account.now
    while true {
      usleep(500_000)
      guard let figures = ProcessFigures(pid) else {
        throw TheatreError("the daemon ended\n\(host.daemon?.tail ?? "")")
      }
      resident.append(Double(figures.residentKB) / 1024)
      if !isLate, host.account.starts >= bundles / 2 {
        isLate = true
        for _ in 0..<late { _ = try host.send(options.bundle, from: "late") }
      }
      if Account.now - said >= 10 {
        said = Account.now
        say("  \(host.account.starts) of \(total) begun, \((resident.last ?? 0).shown()) MB")
      }
      if host.account.starts >= total, try (host.counts()?["finished"] ?? 0) >= total { break }
    }
    let end = Account.now
    guard let figures = ProcessFigures(pid) else { throw ExitCode.failure }

    let entries = host.account.entries
    let first = entries.values.compactMap(\.startedAt).min() ?? end
    let seconds = end - first
    say("\n\(total) jobs, \(options.workers) workers, \(options.job) ms a job, store \(host.store.location)\n")
    line("upload by the submitters", "\(uploadSeconds.shown()) s")
    line("intake of \(bundles) by a daemon that starts", "\(intakeSeconds.shown()) s")
    line("throughput", "\((Double(total) / seconds).shown()) jobs/s (\(seconds.shown()) s)")
    line(
      "CPU of the daemon for a job",
      "\((1000 * (figures.cpuSeconds - (idle?.cpuSeconds ?? 0)) / Double(total)).shown(2)) ms")
    line(
      "memory of the daemon",
      "median \(Distribution(resident).median.shown()) MB, peak \((Double(figures.peakKB) / 1024).shown()) MB")
    line("queue on disk", "\((Double(ProcessFigures.bytes(of: host.databasePath)) / 1_048_576).shown()) MB")
    waits(entries, from: first)
    say(behind(entries))
    let faults = try verdict(host, entries)
    for fault in faults { say("FAULT: \(fault)") }
    guard faults.isEmpty else { throw ExitCode.failure }
    say("exactly once: \(total) bundles sent, \(total) commits, each of a receipt of its own bundle")
  }

  private func line(_ name: String, _ value: String) { say("\(name.left(42))\(value)") }

  /// Several threads, since a store makes each object durable before the next.
  private func upload(_ submitters: [(String, Int)], to host: HostUnderLoad) throws -> Double {
    let begin = Account.now
    // Sent by turns, as a night's uploads come, not one submitter after the other.
    var order = submitters.flatMap { name, count in (0..<count).map { (Double($0) / Double(count), name) } }
    order.sort { $0 < $1 }
    let names = order.map(\.1)
    let next = Atomic(0)
    let failure = Mutex<(any Error)?>(nil)
    nonisolated(unsafe) let host = host
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < names.count, failure.withLock({ $0 == nil }) else { return }
        do { _ = try host.send(options.bundle, from: names[index]) } catch { failure.withLock { $0 = error } }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return Account.now - begin
  }

  /// How long each submitter waited: from when the workers began, or for the late one from when its bundle was sent.
  private func waits(_ entries: [JobName: Account.Entry], from first: Double) {
    say(
      "\n\("SUBMITTER".left(14))\("JOBS".right(6))\("WAIT P50".right(11))\("P95".right(9))\("MAX".right(9))   seconds")
    let groups = Dictionary(grouping: entries.values, by: \.submitter)
    for (name, group) in groups.sorted(by: { ($1.value.count, $0.key) < ($0.value.count, $1.key) }) {
      let waits = Distribution(group.compactMap { entry in entry.startedAt.map { $0 - max(entry.sentAt, first) } })
      say(
        "\(name.left(14))\("\(group.count)".right(6))\(waits.median.shown().right(11))\(waits.p95.shown().right(9))"
          + "\(waits.max.shown().right(9))")
    }
  }

  /// With lanes that take turns, the n-th job of each small submitter is among the first n × lanes to begin.
  private func behind(_ entries: [JobName: Account.Entry]) -> String {
    let lanes = others + 1
    var worst = 0
    let small = Dictionary(grouping: entries.values.filter { $0.submitter.hasPrefix("team-") }, by: \.submitter)
    for group in small.values {
      for (index, place) in group.compactMap(\.place).sorted().enumerated() {
        worst = max(worst, place + 1 - (index + 1) * lanes)
      }
    }
    return "\nthe n-th job of each small submitter began among the first \(lanes)n + \(worst) of all"
  }

  private func verdict(_ host: HostUnderLoad, _ entries: [JobName: Account.Entry]) throws -> [String] {
    var faults: [String] = []
    let commits = try host.commits()
    if Set(commits.keys) != Set(entries.keys) {
      faults.append("\(entries.count) bundles were sent, and \(commits.count) jobs have a commit")
    }
    for (job, commit) in commits {
      let receipt = try host.store.getSmall(try ObjectKey(StoreLayout.receipt(job, attempt: commit.attempt)))
      let claims = try UnverifiedStatement<ReceiptClaims>(receipt).signedByItsOwnKey().signed.claims
      if claims.bundle != job || commit.outcome != "completed" { faults.append("\(job): \(commit.outcome)") }
    }
    let repeated = entries.values.count { $0.receipts != 1 }
    if repeated > 0 { faults.append("\(repeated) jobs were not computed exactly once") }
    if host.account.strangers > 0 { faults.append("\(host.account.strangers) bundles ran that nobody sent") }
    guard let counts = try host.counts() else { return faults + ["the daemon does not answer"] }
    for state in ["held", "ready", "running", "retry_wait", "dead", "cancelled"] where counts[state] != 0 {
      faults.append("\(counts[state] ?? 0) jobs are \(state)")
    }
    return faults
  }
}
