import Foundation
import TestSupport

/// Everybody's part played with the programs alone, as the README tells them to: security officer, model owner, analyst,
/// the host's operator. One office serves all tests of a store.
final class Office: @unchecked Sendable {
  private static let shared = Result { try Office(over: nil) }
  /// The office over a directory; the first caller opens it.
  static func open() throws -> Office { try shared.get() }

  let theatre: Theatre
  let store: String
  /// The store's folder, where it is one.
  let storeFolder: String
  let image: String
  /// The daemon's operator socket.
  let socket: String
  /// Manifest digests.
  let tiny: String
  let real: String?
  /// A cross-encoder and a classifier, where the store is a folder; their folders have these names.
  let reranker, classifier: String?
  /// A model that makes texts; its folder has this name.
  let writer: String?
  /// What every command of the analyst has in its environment.
  let environment: [String: String]
  /// The policy's parts that do not change, as YAML.
  private let parties: String
  private(set) var worker: TheatreProcess
  private(set) var daemon: TheatreProcess

  /// - Parameters:
  ///   - remote: another store's URL and the environment that it needs.
  ///   - tinyAlone: leaves the real model out.
  ///   - poll: seconds between two looks at the inbox.
  init(
    over remote: (url: String, environment: [String: String])?, tinyAlone: Bool = false, poll: String = "0.1"
  ) throws {
    let theatre = try Theatre()
    self.theatre = theatre
    _ = try theatre.startCloud()
    storeFolder = try theatre.make("store")
    store = remote?.url ?? "file://\(storeFolder)"
    socket = theatre.path("daemon.sock")
    let environment = [
      "EPHEMERAL_HOME": theatre.path("analyst"), "EPHEMERAL_STORE": store, "HOME": theatre.path("nobody"),
    ]
    .merging(remote?.environment ?? [:]) { $1 }
    self.environment = environment
    try theatre.make("officer")
    let program = theatre.ephemeral
    let arns = try theatre.keyARNs()

    try theatre.succeed(program, ["policy", "keygen", "--output", theatre.path("officer/policy")])
    let key = try String(contentsOfFile: theatre.path("officer/policy.pub"), encoding: .utf8)
    image = try theatre.writeImage("image", policyKey: key.trimmingCharacters(in: .whitespacesAndNewlines))
    let measured = try theatre.measure(image: image)
    try theatre.allow(measured)

    let owner = ["--home", theatre.path("owner"), "--store", store]
    let publish = [
      "--kms-key", arns.model, "--aws-profile", "\(theatre.cloudState)/credentials:publisher", "--kms-endpoint",
      "unix:\(theatre.kms)", "--kms-roots", "\(theatre.cloudState)/kms-roots.pem",
    ]
    func published(_ folder: String, _ environment: [String: String]) throws -> String {
      try theatre.succeed(program, ["models", "publish", folder] + owner + publish, environment: environment)
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }
    try TinyModel(words: TinyModel.office, seed: 1).write(to: theatre.path("tiny"))
    tiny = try published(theatre.path("tiny"), environment)
    let folder = remote == nil && !tinyAlone ? try? Need.model.require() : nil
    real = try folder.map { try published($0.path, environment) }
    func head(_ name: String, _ labels: [String]) throws -> String? {
      guard remote == nil, !tinyAlone else { return nil }
      try TinyModel(words: TinyModel.office, seed: 3, labels: labels).write(to: theatre.path(name))
      return try published(theatre.path(name), environment)
    }
    reranker = try head("reranker", ["relevance"])
    classifier = try head("classifier", ["report", "memo", "note"])
    if remote == nil, !tinyAlone {
      try TinyDecoder().write(to: theatre.path("writer"))
      writer = try published(theatre.path("writer"), environment)
    } else {
      writer = nil
    }

    try theatre.succeed(
      program,
      [
        "setup", "--profile", "dev", "--class", "development", "--root", "\(theatre.cloudState)/attestation-root.pem",
        "--policy-key", theatre.path("officer/policy.pub"), "--store", store, "--model", "tiny",
      ], environment: environment)
    let models = [tiny] + [real, reranker, classifier, writer].compactMap(\.self)
    let operations = ["embed", "classify", "score", "generate"].flatMap { ["--operation", $0] }
    let submitter = try theatre.succeed(
      program, ["keys", "export", "--name", "analyst"] + operations + models.flatMap { ["--model", $0] },
      environment: environment)
    let publisher = try theatre.succeed(
      program, ["keys", "export", "--publisher", "--name", "owner", "--model-key", arns.model] + owner,
      environment: environment)
    parties = """
      epoch_key: \(arns.epoch)
      dtypes: [F32, BF16]
      submitters:
      \(submitter)
      publishers:
      \(publisher)
      """
    let signed = try Self.sign(theatre, parties, version: 1, images: [("worker", measured)])
    try theatre.succeed(program, ["policy", "install", signed], environment: environment)

    try theatre.make("schedules")
    try theatre.write("schedules/nightly.yaml", "name: nightly\n")
    worker = try theatre.startWorker(image: image, socket: "worker.sock")
    daemon = try Self.startDaemon(theatre, store, socket, environment, poll: poll)
    try waitForWorker()
  }

  /// Waits until the daemon has handed policy and epochs to the worker, and an epoch is announced.
  private func waitForWorker() throws {
    let limit = Date(timeIntervalSinceNow: 150)
    while !daemon.errors.contains("worker is ready") {
      guard Date() < limit, daemon.isAlive else { throw TheatreError("the daemon is not ready\n\(daemon.tail)") }
      usleep(20_000)
    }
  }

  private static func startDaemon(
    _ theatre: Theatre, _ store: String, _ socket: String, _ environment: [String: String], state: String = "host",
    worker: String = "worker.sock", poll: String = "0.1"
  ) throws -> TheatreProcess {
    try theatre.start(
      theatre.ephemeral,
      [
        "daemon", "run", "--store", store, "--state", theatre.path(state), "--worker",
        "unix:\(theatre.path(worker))", "--relay-target", "unix:\(theatre.kms)", "--relay-listen",
        "unix:\(theatre.path("\(state).relay"))", "--socket", socket, "--policy-key",
        theatre.path("officer/policy.pub"), "--schedules", theatre.path("schedules"), "--aws-profile",
        "\(theatre.cloudState)/credentials:host", "--poll", poll,
      ], environment: environment)
  }

  // MARK: The security officer

  /// Signs a policy of this office's people for some images, and returns the file.
  ///
  /// - Parameters:
  ///   - extra: more lines of the YAML.
  ///   - key: another policy key than the office's.
  func sign(
    version: Int, images: [(name: String, measured: Theatre.Measurement)], extra: String = "valid_for_days: 30",
    key: String = "officer/policy.key"
  ) throws -> String {
    try Self.sign(theatre, parties, version: version, images: images, extra: extra, key: key)
  }

  private static func sign(
    _ theatre: Theatre, _ parties: String, version: Int, images: [(name: String, measured: Theatre.Measurement)],
    extra: String = "valid_for_days: 30", key: String = "officer/policy.key"
  ) throws -> String {
    let name = "officer/policy-\(version)-\(UUID().uuidString.prefix(8))"
    let listed = images.map { image in
      let measured = image.measured
      return "  - {name: \(image.name), pcr0: \"\(measured.pcr0)\", pcr1: \"\(measured.pcr1)\", "
        + "pcr2: \"\(measured.pcr2)\", note: a test}"
    }
    try theatre.write(
      "\(name).yaml",
      (["version: \(version)", extra, "measurements:"] + listed + [parties, ""]).joined(separator: "\n"))
    let signed = theatre.path("\(name).cose")
    try theatre.succeed(
      theatre.ephemeral,
      ["policy", "sign", theatre.path("\(name).yaml"), "--key", theatre.path(key), "--output", signed])
    return signed
  }

  /// Puts a policy into the store by the officer's command.
  func install(_ policy: String) throws {
    try theatre.succeed(theatre.ephemeral, ["policy", "install", policy], environment: environment)
  }

  /// Puts any file into the store as the policy, as a hostile host can.
  func smuggle(_ policy: String) throws {
    try Data(contentsOf: URL(filePath: policy)).write(to: URL(filePath: "\(storeFolder)/policy/current.cose"))
  }

  // MARK: The host

  /// Starts a daemon where the last one was killed.
  func restartDaemon() throws { daemon = try Self.startDaemon(theatre, store, socket, environment) }

  /// Starts a worker where the last one was killed.
  func restartWorker(image: String? = nil) throws {
    worker = try theatre.startWorker(image: image ?? self.image, socket: "worker.sock")
  }

  /// Starts a second daemon with a state of its own on the same store, for the worker at `socket`.
  func startSecondDaemon(worker socket: String) throws -> TheatreProcess {
    try Self.startDaemon(
      theatre, store, theatre.path("second.sock"), environment, state: "second", worker: socket)
  }

  /// Waits until the daemon has written a line with these words.
  func waitForLog(_ words: String, of process: TheatreProcess? = nil, seconds: Double = 150) throws {
    let limit = Date(timeIntervalSinceNow: seconds)
    let process = process ?? daemon
    while !process.errors.contains(words) {
      guard Date() < limit else { throw TheatreError("the daemon does not say \"\(words)\"\n\(process.tail)") }
      usleep(20_000)
    }
  }

  /// An operator's command.
  func operate(_ arguments: [String]) throws -> Theatre.Finished {
    try theatre.run(theatre.ephemeral, arguments + ["--socket", socket], environment: environment)
  }

  /// What `queue inspect` says of a job, once it says finished or the time is over.
  func inspectOnceFinished(_ job: String) throws -> Theatre.Finished {
    let limit = Date(timeIntervalSinceNow: 150)
    var inspected = try operate(["queue", "inspect", job])
    while Date() < limit, !inspected.output.contains("finished") {
      usleep(100_000)
      inspected = try operate(["queue", "inspect", job])
    }
    return inspected
  }

  // MARK: The analyst

  /// A command of the analyst.
  func ephemeral(_ arguments: [String], input: String? = nil, environment more: [String: String] = [:]) throws
    -> Theatre.Finished
  {
    try theatre.run(
      theatre.ephemeral, arguments, environment: environment.merging(more) { $1 }, input: input, seconds: 180)
  }

  /// A file of `{"id","text"}` lines.
  func documents(_ count: Int, named name: String) throws -> String {
    let lines = (0..<count).map { #"{"id":"doc-\#($0)","text":"a report of the river, number \#($0)"}"# }
    try theatre.write("\(name).jsonl", lines.joined(separator: "\n") + "\n")
    return theatre.path("\(name).jsonl")
  }

  /// Submits a file that must be taken, and returns the job's name.
  func submit(_ arguments: [String]) throws -> String {
    let finished = try ephemeral(["submit"] + arguments)
    guard finished.status == 0 else { throw TheatreError("submit: \(finished.status)\n\(finished.errors)") }
    let job = finished.output.split(separator: "\n").first.map(String.init) ?? ""
    guard job.count == 64 else { throw TheatreError("submit printed no job: \(finished.output)") }
    return job
  }

  /// Waits until a job has its receipt; the exit code of `watch`.
  func watch(_ job: String, seconds: Int = 150) throws -> Theatre.Finished {
    try ephemeral(["watch", job, "--timeout", "\(seconds)"])
  }

  /// A folder for results that is not there yet.
  func newFolder() -> String { theatre.path("results-\(UUID().uuidString.prefix(8))") }

  /// The keys under a prefix of the store's folder.
  func objects(under prefix: String) -> [String] {
    let folder = "\(storeFolder)/\(prefix)"
    let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return names.filter { name in
      (try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")[.type] as? FileAttributeType)
        == .typeRegular
    }.sorted()
  }
}
