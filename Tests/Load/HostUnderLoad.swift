import Crypto
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Wire

/// The daemon as a process of its own over a real store, with light workers beside it.
final class HostUnderLoad {
  let theatre: Theatre
  let folder: URL
  let storeURL: String
  let store: any ObjectStore
  let account = Account()
  let workers: [LightWorker]
  private(set) var daemon: TheatreProcess?
  private let sockets: [String]

  /// - Throws: what the store throws; ``TheatreError``.
  init(_ options: LoadOptions, faultsPerMille: Int = 0) throws {
    theatre = try Theatre()
    folder = URL(filePath: options.folder).standardizedFileURL
    // Only what a run like this one made: the folder may be one that somebody named by mistake.
    for name in ["store", "host", "daemon.log"] {
      try? FileManager.default.removeItem(at: folder.appending(path: name))
    }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    storeURL = options.store ?? "file://\(folder.appending(path: "store").path)"
    store = try StoreURL.open(storeURL, create: true)
    // A file that says nothing: without --policy-key the daemon hands it on unread, and light workers take anything.
    _ = try store.put(try ObjectKey(StoreLayout.policy), [1], .always)
    sockets = (1...max(1, options.workers)).map { [theatre] in theatre.path("w\($0).sock") }
    let account = account
    workers = try sockets.map {
      try LightWorker(
        .unix($0), account: account, jobMilliseconds: options.job, faultsPerMille: faultsPerMille)
    }
  }

  /// Starts the daemon; its log goes to `daemon.log`.
  func startDaemon() throws {
    try theatre.write("credentials", "[host]\naws_access_key_id = AKIALOAD\naws_secret_access_key = load\n")
    let state = folder.appending(path: "host").path
    var environment: [String: String] = [:]
    for (name, value) in ProcessInfo.processInfo.environment where name.hasPrefix("AWS_") { environment[name] = value }
    let process = try theatre.start(
      theatre.ephemeral,
      ["daemon", "run", "--store", storeURL, "--state", state, "--poll", "0.5", "--socket", socket]
        + ["--relay-target", "unix:\(theatre.path("kms.sock"))", "--relay-listen", "unix:\(theatre.path("r.sock"))"]
        + ["--aws-profile", "\(theatre.path("credentials")):host"] + sockets.flatMap { ["--worker", "unix:\($0)"] },
      environment: environment)
    daemon = process
    let limit = Account.now + 60
    while !process.errors.contains("daemon is ready") {
      guard process.isAlive, Account.now < limit else {
        throw TheatreError("the daemon does not start\n\(process.tail)")
      }
      usleep(20_000)
    }
  }

  /// Ends workers and daemon, and keeps the daemon's log.
  func stop() {
    daemon?.stop()
    for worker in workers { worker.stop() }
    if let daemon {
      try? daemon.errors.write(to: folder.appending(path: "daemon.log"), atomically: true, encoding: .utf8)
    }
  }

  var socket: String { theatre.path("d.sock") }
  var databasePath: String { folder.appending(path: "host/queue.sqlite").path }

  /// Puts a bundle of random bytes into the inbox, as a submitter who is a tenant of its own (docs/operations/queue.md).
  func send(_ bytes: Int, from submitter: String) throws -> JobName {
    var generator = SystemRandomNumberGenerator()
    var bundle: [UInt8] = []
    bundle.reserveCapacity(bytes + 8)
    while bundle.count < bytes { withUnsafeBytes(of: generator.next()) { bundle += $0 } }
    let name = SHA256.digest(of: bundle)
    account.sent(name, by: submitter)
    _ = try store.put(try ObjectKey(StoreLayout.bundle(name, queue: "default/\(submitter)")), bundle, .always)
    return name
  }

  /// Asks the daemon by its own command.
  func ask(_ arguments: [String]) throws -> Theatre.Finished {
    try theatre.run(theatre.ephemeral, arguments + ["--socket", socket, "--json"])
  }

  /// Jobs by state, over all queues; nil where the daemon did not answer.
  func counts() throws -> [String: Int]? {
    let finished = try ask(["queue", "stats"])
    guard finished.status == 0,
      let answer = try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [String: Any],
      let queues = answer["queues"] as? [[String: Any]]
    else { return nil }
    var counts: [String: Int] = [:]
    for state in ["held", "ready", "running", "retry_wait", "finished", "cancelled", "dead"] {
      counts[state] = queues.reduce(0) { $0 + (($1[state] as? NSNumber)?.intValue ?? 0) }
    }
    return counts
  }

  /// Jobs that have a commit in the store, with the receipts that lie beside it.
  func commits() throws -> [JobName: CommitRecord] {
    var commits: [JobName: CommitRecord] = [:]
    try store.forEach(prefix: "jobs/") { info in
      let parts = info.key.text.split(separator: "/")
      guard parts.count == 3, parts[2] == "commit.json", let job = JobName(hex: parts[1]) else { return true }
      commits[job] = try StoreRecord.decode(CommitRecord.self, try store.getSmall(info.key))
      return true
    }
    return commits
  }
}
