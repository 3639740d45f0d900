import Foundation
import Glibc

/// A stage for the real programs: a private directory with short paths, a running `devcloud`, image directories, and
/// workers as separate processes. It knows no module of the project, only the programs and their arguments.
///
/// Everything on it ends with the test run: a watchdog process ends what was started, by process id, and removes the
/// directory as soon as the test process is gone, however it went.
package final class Theatre: @unchecked Sendable {
  /// PCRs of a worker with an image directory, in hexadecimal.
  package struct Measurement: Sendable, Codable, Equatable {
    package let pcr0, pcr1, pcr2: String
  }

  /// How a command ended.
  package struct Finished: Sendable {
    package let status: Int32
    package let output: String
    package let errors: String
  }

  /// Absolute, at most 20 bytes, so that sockets below it fit into 107.
  package let directory: String
  /// The programs of this build.
  package let devcloud, worker, ephemeral: URL
  private let lock = NSLock()
  private var counter = 0

  package init() throws {
    devcloud = Self.program("devcloud")
    worker = Self.program("enclave-worker")
    ephemeral = Self.program("ephemeral")
    var template = Array("/tmp/eml-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TheatreError("mkdtemp: \(String(cString: strerror(errno)))") }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try make("logs")
    try startWatchdog()
  }

  /// The programs stand beside the test bundle, since one build makes both. One that is missing fails when it is started.
  private static func program(_ name: String) -> URL {
    let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    let beside = folder.appending(path: name)
    if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
    return Checkout.root.appending(path: ".build/release/\(name)")
  }

  private func startWatchdog() throws {
    let script = """
      while kill -0 "$1" 2>/dev/null; do sleep 0.5; done
      for pid in $(cat "$2/pids" 2>/dev/null); do
        # Long ended ones' numbers belong to others by now; ours run on the stage.
        [ "$(readlink "/proc/$pid/cwd")" = "$2" ] && kill -9 "$pid" 2>/dev/null
      done
      rm -rf "$2"
      """
    _ = try TheatreProcess(
      URL(filePath: "/bin/sh"), ["-c", script, "watchdog", "\(getpid())", directory], environment: Self.path,
      directory: "/", logs: path("logs/watchdog"))
  }

  private static let path = ["PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"]

  /// An absolute path on the stage.
  package func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Makes a private folder.
  @discardableResult
  package func make(_ name: String) throws -> String {
    try FileManager.default.createDirectory(
      atPath: path(name), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    return path(name)
  }

  /// Writes a file.
  package func write(_ name: String, _ text: String) throws {
    try text.write(toFile: path(name), atomically: true, encoding: .utf8)
  }

  /// Starts a program in the background.
  package func start(
    _ program: URL, _ arguments: [String], environment: [String: String] = [:], input: String? = nil
  ) throws -> TheatreProcess {
    lock.lock()
    counter += 1
    let logs = path("logs/\(counter)-\(program.lastPathComponent)")
    lock.unlock()
    let process = try TheatreProcess(
      program, arguments, environment: Self.path.merging(environment) { $1 }, directory: directory, logs: logs,
      input: input)
    lock.lock()
    defer { lock.unlock() }
    let list = open(path("pids"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    defer { close(list) }
    let line = Array("\(process.pid)\n".utf8)
    _ = Glibc.write(list, line, line.count)
    return process
  }

  /// Runs a command to its end.
  package func run(
    _ program: URL, _ arguments: [String], environment: [String: String] = [:], input: String? = nil,
    seconds: Double = 180
  ) throws -> Finished {
    let process = try start(program, arguments, environment: environment, input: input)
    let status = try process.wait(seconds: seconds)
    return Finished(status: status, output: process.output, errors: process.errors)
  }

  /// Runs a command that must succeed.
  @discardableResult
  package func succeed(_ program: URL, _ arguments: [String], environment: [String: String] = [:]) throws -> String {
    let finished = try run(program, arguments, environment: environment)
    guard finished.status == 0 else {
      throw TheatreError(
        "\(program.lastPathComponent) \(arguments.prefix(2).joined(separator: " ")) ended with \(finished.status)\n"
          + "\(finished.output.suffix(1500))\n\(finished.errors.suffix(3000))")
    }
    return finished.output
  }
}

// MARK: The local cloud and the enclaves on it

extension Theatre {
  package var cloudState: String { path("cloud") }
  package var securityModule: String { path("nsm.sock") }
  package var kms: String { path("kms.sock") }

  /// Makes a state and starts `devcloud` on it.
  package func startCloud() throws -> TheatreProcess {
    try succeed(devcloud, ["init", "--state", cloudState])
    let cloud = try start(
      devcloud,
      ["run", "--state", cloudState, "--nsm-socket", securityModule, "--kms-socket", kms, "--kms-port", "0"])
    try cloud.waitForLine("devcloud ready")
    return cloud
  }

  /// A file of the cloud's state.
  package func cloudFile(_ name: String) throws -> String {
    try String(contentsOfFile: "\(cloudState)/\(name)", encoding: .utf8)
  }

  /// The ARNs of the two KMS keys.
  package func keyARNs() throws -> (epoch: String, model: String) {
    let keys = try JSONDecoder().decode([String: String].self, from: Data(try cloudFile("keys.json").utf8))
    guard let epoch = keys["epoch_key"], let model = keys["model_key"] else { throw TheatreError("keys.json") }
    return (epoch, model)
  }

  /// Access key and secret of one of the cloud's profiles.
  package func credentials(_ profile: String) throws -> (accessKey: String, secret: String) {
    var section = ""
    var values: [String: String] = [:]
    for line in try cloudFile("credentials").split(separator: "\n") {
      if line.hasPrefix("[") { section = String(line.dropFirst().prefix { $0 != "]" }) }
      let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      if section == profile, parts.count == 2 { values[parts[0]] = parts[1] }
    }
    guard let key = values["aws_access_key_id"], let secret = values["aws_secret_access_key"] else {
      throw TheatreError("the cloud has no profile \(profile)")
    }
    return (key, secret)
  }

  /// Writes an image directory.
  ///
  /// - Parameters:
  ///   - policyKey: 64 hexadecimal digits.
  ///   - files: more files; each makes it another image.
  @discardableResult
  package func writeImage(_ name: String, policyKey: String, files: [String: String] = [:]) throws -> String {
    let image = try make(name)
    try write("\(name)/evidence-class", "development\n")
    try write("\(name)/policy.pub", policyKey + "\n")
    try write("\(name)/kms-roots.pem", try cloudFile("kms-roots.pem"))
    try write("\(name)/security-module", "unix:\(securityModule)\n")
    for (file, text) in files { try write("\(name)/\(file)", text) }
    return image
  }

  /// What `devcloud` will say of a worker with this image.
  package func measure(image: String, executable: URL? = nil) throws -> Measurement {
    let arguments = ["measure", "--worker", (executable ?? worker).path, "--image", image, "--json"]
    return try JSONDecoder().decode(Measurement.self, from: Data(try succeed(devcloud, arguments).utf8))
  }

  /// Writes both KMS key policies for these measurements, and for one pinned policy where PCR16 is given.
  package func allow(_ measurements: Measurement..., pcr16: String? = nil) throws {
    let images = measurements.flatMap { ["--pcr0", $0.pcr0, "--pcr1", $0.pcr1, "--pcr2", $0.pcr2] }
    try succeed(
      devcloud, ["allow", "--state", cloudState] + images + (pcr16.map { ["--pcr16", $0] } ?? []))
  }

  /// Starts a worker and waits until it listens at `path(socket)`.
  package func startWorker(image: String, socket: String, executable: URL? = nil) throws -> TheatreProcess {
    let process = try start(executable ?? worker, ["--image", image, "--listen", "unix:\(path(socket))"])
    try process.waitForLine("enclave-worker ready")
    return process
  }
}
