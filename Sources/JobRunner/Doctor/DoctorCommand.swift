import ArgumentParser
import Client
import Foundation
import SealedCrypto
import Wire

/// `ephemeral doctor`.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Look at clock, disk, store, KMS, worker, policy and more, and say what to do.",
    discussion: """
      Of the daemon as it would start with these settings: give what `daemon run` is given (flags, environment, --config),
      as the daemon's user. It works while the daemon runs and while it does not. Where this user has trust profiles, the
      client's side is looked at too. Nothing is changed but for a probe object under host/doctor/ in the store and a small
      file in the state folder, which are removed again.

      Exit codes: 0 all well, 1 something fails, 3 warnings only.

      Example:
        sudo -u ephemeral ephemeral doctor --config /etc/ephemeral/daemon.yaml
      """)

  @OptionGroup var flags: DaemonFlags
  @Flag(help: "One JSON object on standard output.") var json = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let client = try? ClientHome(environment: environment)
    let clientStore = client.flatMap {
      try? ClientSettings.resolve(
        flags: ClientSettings(), environment: environment, projectDirectory: ".", home: $0
      ).store
    }
    let settings = Doctor.Settings(
      try flags.values(environment: environment), file: flags.config ?? environment["EPHEMERAL_CONFIG"])
    let doctor = Doctor(
      settings: settings,
      client: client.map { ClientChecks(home: $0, storeURL: clientStore, nowMs: Timestamps.nowMs()) })
    let found = doctor.examine()
    guard !found.isEmpty else {
      throw ValidationError(
        "There is nothing to look at: name the daemon's settings as for `daemon run` (--config, --state, --store), or "
          + "make a trust profile with `setup`.")
    }
    show(found)
    if found.status != .done { throw ExitCode(found.status.rawValue) }
  }

  private func show(_ found: [Diagnosis]) {
    let screen = Screen(json: json)
    screen.line(
      .object([
        ("checks", .array(found.map(\.json))), ("exit", .unsigned(UInt64(found.status.rawValue))),
      ]))
    let width = (found.map(\.check.count).max() ?? 0) + 2
    let indent = String(repeating: " ", count: 6 + width)
    for line in found {
      let mark =
        switch line.level {
        case .ok: screen.green("ok    ")
        case .warning: "warn  "
        case .failure: screen.red("FAIL  ")
        }
      screen.out(mark + Screen.padded(line.check, width) + Shown.printable(line.finding, limit: 600))
      if let meaning = line.meaning { screen.out(indent + Shown.printable(meaning, limit: 600)) }
      if let remedy = line.remedy { screen.out(indent + "→ " + Shown.printable(remedy, limit: 600)) }
    }
    let (failures, warnings) = (
      found.filter { $0.level == .failure }.count, found.filter { $0.level == .warning }.count
    )
    screen.out("\(found.count - failures - warnings) ok, \(warnings) to look at, \(failures) failing")
  }
}

extension Doctor.Settings {
  /// Reads every key for itself.
  ///
  /// - Parameter file: the configuration file, where there is one.
  init(_ values: ConfigurationValues, file: String?) {
    func read<Value>(_ key: ConfigurationKey, _ body: (String) throws -> Value) -> Value? {
      guard let text = values.text(key) else { return nil }
      do { return try body(text) } catch {
        faults.append(
          .fail(
            "configuration", "\(values.origin(key)): `\(key.name)`: \(error)",
            meaning: "the daemon does not start with it",
            remedy: "correct it; ephemeral config show --daemon names every value's origin"))
        return nil
      }
    }
    storeURL = values.text(.store)
    stateFolder = values.path(.state)
    socketPath = values.path(.socket) ?? stateFolder.map(StateFolder.socket)
    workers = values.workers.map { ($0.name, $0.endpoint) }
    schedulesFolder = values.text(.schedules)
    policyKey = read(.policyKey, DaemonConfiguration.readKey)
    if let path = values.text(.policyKey) { files.append(("policy key", path, false)) }
    if let text = values.text(.awsProfile), let colon = text.lastIndex(of: ":") {
      files.append(("credentials file", String(text[..<colon]), true))
    }
    if let file, !file.isEmpty { files.append(("configuration file", file, false)) }
    guard isHost else { return }
    relayTarget = read(.relayTarget) { try RelayTarget($0) } ?? .automatic
    for (key, flag) in [(ConfigurationKey.store, "--store"), (.state, "--state")] where values.text(key) == nil {
      faults.append(
        .fail(
          "configuration", "`\(key.name)` is not set", meaning: "the daemon does not start",
          remedy: "give \(flag), set \(key.variable), or name it in the configuration file (--config)"))
    }
    if workers.isEmpty {
      faults.append(
        .fail(
          "configuration", "no worker is named", meaning: "the daemon does not start",
          remedy: "give --worker ENDPOINT, or `workers` in the configuration file"))
    }
  }
}
