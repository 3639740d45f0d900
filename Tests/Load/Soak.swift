import ArgumentParser
import Foundation
import Glibc
import Synchronization
import TestSupport
import Wire

/// `load soak`: a steady mix of jobs, faults, cancels and operators' questions for minutes, while the daemon's memory,
/// threads, descriptors and files are noted each second.
struct Soak: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The daemon for ten minutes: does its memory stay flat?",
    discussion: """
      Each second: some bundles, `queue stats` and `queue inspect`; every twenty seconds a burst, of which the last are
      cancelled. Of a hundred first attempts three meet a fault: the worker hangs up, asks for a retry, or talks nonsense.
      Each minute one worker is gone for three seconds and comes back with nothing remembered. With --pause-pid that
      process (the S3 server) is stopped for five seconds each minute.

      Flat means: of what the daemon holds by itself (its heap, less the queue's file, which SQLite caches there) the
      last third's median is at most 1 MB above the middle third's, and threads and descriptors end where they were.
      """)

  @OptionGroup var options: LoadOptions
  @Option(help: "How long.") var seconds = 600
  @Option(help: "Bundles a second.") var rate = 10.0
  @Option(help: "A process that is stopped for five seconds each minute.") var pausePid: Int32?

  /// One second's figures.
  struct Sample {
    var second: Int
    var figures: ProcessFigures
    var databaseBytes: Int
    var logBytes: Int
    var sent: Int
    var finished: Int
  }

  func validate() throws {
    guard seconds >= 10, seconds <= 86_400, rate > 0, rate <= 1000, options.workers >= 1 else {
      throw ValidationError("10 to 86400 seconds, up to 1000 bundles a second, at least one worker.")
    }
  }

  func run() throws {
    let host = try HostUnderLoad(options, faultsPerMille: 10)
    defer { host.stop() }
    for worker in host.workers { try worker.start() }
    try host.startDaemon()
    guard let pid = host.daemon?.pid else { throw ExitCode.failure }
    let mix = Mix(host: host, bundleBytes: options.bundle, rate: rate, pausedProcess: pausePid)
    mix.start()

    var samples: [Sample] = []
    let begin = Account.now
    say(
      "\("SECOND".right(6))\("RSS MB".right(9))\("OWN MB".right(9))\("THREADS".right(9))\("FDS".right(6))\("DB MB".right(8))\("WAL MB".right(8))\("SENT".right(8))\("DONE".right(8))\("CPU S".right(8))"
    )
    for second in 1...seconds {
      while Account.now < begin + Double(second) { usleep(20_000) }
      guard let figures = ProcessFigures(pid) else {
        throw TheatreError("the daemon ended\n\(host.daemon?.tail ?? "")")
      }
      let sample = Sample(
        second: second, figures: figures, databaseBytes: ProcessFigures.bytes(of: host.databasePath),
        logBytes: ProcessFigures.bytes(of: host.databasePath + "-wal"), sent: mix.sent, finished: host.account.ended)
      samples.append(sample)
      if second == 1 || second % max(10, seconds / 20) == 0 { say(Self.row(sample)) }
    }
    mix.stop()
    let unfinished = try settle(host)
    try SoakReport(samples: samples).write(to: host.folder)
    let faults = SoakReport(samples: samples).verdict() + unfinished + mix.complaints
    say("\n" + SoakReport(samples: samples).summary(mix: mix.summary))
    say("samples and plot: \(host.folder.path)/soak.csv, soak.svg")
    for fault in faults { say("FAULT: \(fault)") }
    guard faults.isEmpty else { throw ExitCode.failure }
  }

  static func row(_ sample: Sample) -> String {
    func megabytes(_ bytes: Int) -> String { (Double(bytes) / 1_048_576).shown() }
    return "\(sample.second)".right(6) + megabytes(sample.figures.residentKB << 10).right(9)
      + megabytes(sample.figures.anonymousKB << 10).right(9) + "\(sample.figures.threads)".right(9)
      + "\(sample.figures.descriptors)".right(6) + megabytes(sample.databaseBytes).right(8)
      + megabytes(sample.logBytes).right(8) + "\(sample.sent)".right(8) + "\(sample.finished)".right(8)
      + sample.figures.cpuSeconds.shown().right(8)
  }

  /// Every job must end once the faults have stopped.
  private func settle(_ host: HostUnderLoad) throws -> [String] {
    let limit = Account.now + 180
    while true {
      guard let counts = try host.counts() else { return ["the daemon does not answer"] }
      let open = ["held", "ready", "running", "retry_wait"].reduce(0) { $0 + (counts[$1] ?? 0) }
      let ended = ["finished", "cancelled", "dead"].reduce(0) { $0 + (counts[$1] ?? 0) }
      if open == 0, ended == host.account.entries.count {
        return counts["dead"] == 0 ? [] : ["\(counts["dead"] ?? 0) jobs are dead"]
      }
      guard Account.now < limit else { return ["\(open) jobs have not ended, of \(host.account.entries.count) sent"] }
      usleep(500_000)
    }
  }
}

/// What goes on meanwhile, on threads of its own.
private final class Mix: @unchecked Sendable {
  private struct Notes {
    var newest: JobName?
    var toCancel: [JobName] = []
    var cancels = 0
    var questions = 0
    var absences = 0
    var unsent = 0
  }

  private static let burstSeconds = 20
  private let host: HostUnderLoad
  private let bundleBytes: Int
  private let rate: Double
  private let pausedProcess: Int32?
  private let isStopping = Atomic(false)
  private let threads = DispatchGroup()
  private let notes = Mutex(Notes())
  private let count = Atomic(0)

  init(host: HostUnderLoad, bundleBytes: Int, rate: Double, pausedProcess: Int32?) {
    self.host = host
    self.bundleBytes = bundleBytes
    self.rate = rate
    self.pausedProcess = pausedProcess
  }

  var sent: Int { count.load(ordering: .relaxed) }

  func start() {
    run { [self] in submit() }
    run { [self] in operate() }
    run { [self] in disturb() }
  }

  func stop() {
    isStopping.store(true, ordering: .relaxed)
    threads.wait()
  }

  /// What was done, for people.
  var summary: String {
    notes.withLock {
      "\(sent) bundles, \($0.cancels) cancels, \($0.questions) questions of operators, \($0.absences) absences of a worker"
        + (pausedProcess == nil ? "" : " and of the store")
    }
  }

  /// What a submitter met; a store that was stopped on purpose may refuse some.
  var complaints: [String] {
    let unsent = notes.withLock { $0.unsent }
    return unsent > 0 && pausedProcess == nil ? ["\(unsent) bundles could not be put into the store"] : []
  }

  private func run(_ body: @escaping @Sendable () -> Void) {
    threads.enter()
    Thread.detachNewThread { [threads] in
      body()
      threads.leave()
    }
  }

  private var goesOn: Bool { !isStopping.load(ordering: .relaxed) }

  private func submit() {
    let begin = Account.now
    var bursts = 1
    while goesOn {
      let seconds = Account.now - begin
      if Int(seconds) >= bursts * Self.burstSeconds {
        bursts += 1
        let burst = (0..<Int(rate * 4)).compactMap { _ in send(from: "delta") }
        notes.withLock { $0.toCancel = Array(burst.suffix(5)) }
      }
      if sent - (bursts - 1) * Int(rate * 4) < Int(seconds * rate) {
        _ = send(from: ["alpha", "beta", "gamma"][sent % 3])
      } else {
        usleep(10_000)
      }
    }
  }

  private func send(from submitter: String) -> JobName? {
    count.add(1, ordering: .relaxed)
    do {
      let job = try host.send(bundleBytes, from: submitter)
      notes.withLock { $0.newest = job }
      return job
    } catch {
      notes.withLock { $0.unsent += 1 }
      return nil
    }
  }

  /// Questions each second, and cancels after a burst.
  private func operate() {
    while goesOn {
      _ = wait(1)
      let (newest, toCancel) = notes.withLock { notes in
        defer { notes.toCancel = [] }
        return (notes.newest, notes.toCancel)
      }
      for job in toCancel where (try? host.ask(["queue", "cancel", job.hex]).status) == 0 {
        notes.withLock { $0.cancels += 1 }
      }
      _ = try? host.ask(["queue", "stats"])
      if let newest { _ = try? host.ask(["queue", "inspect", newest.hex]) }
      notes.withLock { $0.questions += 2 }
    }
  }

  private func disturb() {
    var turn = 0
    while goesOn {
      guard wait(57) else { return }
      let worker = host.workers[turn % host.workers.count]
      turn += 1
      worker.stop()
      if let pausedProcess { kill(pausedProcess, SIGSTOP) }
      _ = wait(3)
      try? worker.start()
      if let pausedProcess {
        _ = wait(2)
        kill(pausedProcess, SIGCONT)
      }
      notes.withLock { $0.absences += 1 }
    }
  }

  private func wait(_ seconds: Double) -> Bool {
    let limit = Account.now + seconds
    while goesOn, Account.now < limit { usleep(50_000) }
    return goesOn
  }
}
