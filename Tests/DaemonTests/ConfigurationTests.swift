import Foundation
import Queue
import TestSupport
import Testing

@testable import JobRunner

/// Who sets what, and what an operator reads when it cannot be.
@Suite("The daemon's configuration")
struct ConfigurationTests {
  private static let file = """
    # the host's
    store: file:///from/file
    state: /tmp/from-file
    poll_seconds: 7
    relay_target: kms.example:443
    workers:
      - name: a
        endpoint: vsock:16:5000
      - name: b
        endpoint: unix:/run/b.sock
        silence_seconds: 5
        queues: [nightly, default]
        start:
          command: [/opt/run-enclave, --fast]
          environment: {ENCLAVE_CID: "17", TOKEN: hidden}
          stop_seconds: 3
    """

  private func parsed(_ text: String) throws -> ConfigurationFile {
    try ConfigurationFile(text, path: "d.yaml", keys: DaemonConfiguration.keys)
  }

  private func origin(_ values: ConfigurationValues, _ key: ConfigurationKey) -> String {
    "\(values.text(key) ?? "nil") by \(values.origin(key))"
  }

  @Test("a flag comes before the environment, the environment before the file, the file before the default")
  func precedence() throws {
    let file = try parsed(Self.file)
    let plain = try ConfigurationValues(file: file)
    #expect(origin(plain, .pollSeconds) == "7 by d.yaml:4" && origin(plain, .drainSeconds) == "30 by default")
    let environment = ["EPHEMERAL_POLL_SECONDS": "8", "EPHEMERAL_STORE": "", "EPHEMERAL_DAEMON_SOCKET": "/s"]
    let varied = try ConfigurationValues(environment: environment, file: file)
    #expect(origin(varied, .pollSeconds) == "8 by environment EPHEMERAL_POLL_SECONDS")
    #expect(origin(varied, .store) == "file:///from/file by d.yaml:2", "an empty variable is an unset one")
    #expect(try DaemonConfiguration(varied).socketPath == "/s")
    let flagged = try ConfigurationValues(flags: ["poll_seconds": "9"], environment: environment, file: file)
    #expect(origin(flagged, .pollSeconds) == "9 by flag --poll")
    let set = try ConfigurationValues(
      flags: ["poll_seconds": "9"], settings: ["poll_seconds=10"], environment: environment, file: file)
    #expect(origin(set, .pollSeconds) == "10 by flag --set poll_seconds")
    #expect(try DaemonConfiguration(set).pollSeconds == 10)
  }

  @Test("workers come from one place: the file's with all that it says, the flag's by name and endpoint")
  func workers() throws {
    let file = try parsed(Self.file)
    let configuration = try DaemonConfiguration(try ConfigurationValues(file: file))
    #expect(configuration.workers.map(\.name) == ["a", "b"])
    let b = try #require(configuration.workers.last)
    #expect(b.silenceSeconds == 5 && b.queues?.map(\.rawValue) == ["nightly", "default"])
    #expect(b.start?.arguments == ["/opt/run-enclave", "--fast"] && b.start?.stopSeconds == 3)
    #expect(b.start?.environment == ["ENCLAVE_CID": "17", "TOKEN": "hidden"] && b.start?.folder == "/")
    let flags = try ConfigurationValues(workers: ["unix:/a=b.sock", "x=vsock:3:1"], file: file)
    #expect(flags.workers.map { "\($0.name) \($0.endpoint)" } == ["worker-1 unix:/a=b.sock", "x vsock:3:1"])
    let variable = try ConfigurationValues(environment: ["EPHEMERAL_WORKERS": "vsock:3:1, y=unix:/y"], file: file)
    #expect(variable.workers.map(\.name) == ["worker-1", "y"])
  }

  @Test("nothing secret is shown: of a start command the names of its environment alone")
  func shown() throws {
    let rows = try ConfigurationValues(file: try parsed(Self.file)).rows
    let text = rows.map { "\($0.key) \($0.value ?? "-") \($0.origin)" }.joined(separator: "\n")
    #expect(!text.contains("hidden"))
    #expect(text.contains("workers.b.start.environment ENCLAVE_CID TOKEN d.yaml:6"))
    let key = ConfigurationKey("token", secret: true, "A secret.")
    let secret = try ConfigurationValues([key], environment: ["EPHEMERAL_TOKEN": "hush"])
    #expect(secret.rows.map(\.value) == ["(set, not shown)"] && secret.text(key) == "hush")
  }

  @Test(
    "a mistake is refused with its place and with what would be right",
    arguments: [
      ("poll_secs: 1", "d.yaml:1: `poll_secs` is not known here; is `poll_seconds` meant?"),
      ("store: a\nstore: b", "`store` stands twice"),
      ("store: [a]", "d.yaml:1: `store` must be one value"),
      ("\n\npoll_seconds: 0", "d.yaml:3: `poll_seconds` takes 0.05 to 3600 seconds"),
      ("poll_seconds: nan", "d.yaml:1: `poll_seconds` takes 0.05 to 3600 seconds"),
      ("log_format: xml", "d.yaml:1: `log_format` takes one of: text, json"),
      ("workers: []", "d.yaml:1: `workers` must be a list of at least one worker"),
      ("workers:\n  - name: a", "d.yaml:2: worker a needs an `endpoint`"),
      ("workers:\n  - name: A b\n    endpoint: unix:/a", "d.yaml:2: `name` takes 1 to 64 of a-z, 0-9, - and _"),
      ("workers:\n  - {name: a, endpoint: nowhere}", "d.yaml:2: `endpoint` is no endpoint"),
      ("workers:\n  - name: a\n    endpoint: unix:/a\n    cpus: 2", "d.yaml:4: `cpus` is not known here"),
      ("workers:\n  - {name: a, endpoint: unix:/a, queues: [\"a b\"]}", "d.yaml:2: `queues` names no queue: a b"),
      (
        "workers:\n  - {name: a, endpoint: unix:/a}\n  - {name: a, endpoint: unix:/b}", "d.yaml:1: `workers` a twice"
      ),
      (
        "workers:\n  - {name: a, endpoint: unix:/a}\n  - {name: b, endpoint: unix:/a}",
        "d.yaml:1: `workers` a and b have one endpoint"
      ),
      (
        "workers:\n  - name: a\n    endpoint: unix:/a\n    start: {command: [run.sh]}",
        "takes a list that begins with a program's absolute path"
      ),
      ("workers:\n  - name: a\n    endpoint: unix:/a\n    start: {folder: /}", "`start` needs a `command`"),
      ("- a", "d.yaml:1: must be a mapping of keys to values"),
      ("a: [", "d.yaml: not YAML"),
    ])
  func refusals(text: String, words: String) throws {
    let error = #expect(throws: ConfigurationError.self) {
      _ = try ConfigurationValues(file: try parsed(text))
    }
    #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
  }

  @Test("a start needs a store, a state and a worker, and says where each can be set")
  func missing() throws {
    for (settings, words) in [
      ([], "`store` is not set: give --store, set EPHEMERAL_STORE"), (["store=file:///s"], "`state` is not set"),
      (["store=file:///s", "state=/tmp/x"], "no worker is named: give --worker"),
      (["store=file:///s", "state=/tmp/x", "workers=unix:/w"], "auto reads the policy: set policy_key too"),
      (["nosuch=1"], "--set takes KEY=VALUE"),
    ] {
      let error = #expect(throws: ConfigurationError.self) {
        _ = try DaemonConfiguration(try ConfigurationValues(settings: settings))
      }
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
  }

  @Test("a file that starts programs and that others may write is refused, as is one that is too long or none")
  func hostileFiles() throws {
    let path = NSTemporaryDirectory() + "d-\(UUID().uuidString).yaml"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Self.file.write(toFile: path, atomically: true, encoding: .utf8)
    let read = { try ConfigurationFile(path: path, keys: DaemonConfiguration.keys) }
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
    #expect(try read().workers?.list.count == 2)
    try FileManager.default.setAttributes([.posixPermissions: 0o664], ofItemAtPath: path)
    #expect(throws: ConfigurationError.self) { try read() }
    try String(repeating: "#", count: ConfigurationFile.byteLimit + 1).write(
      toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: ConfigurationError.self) { try read() }
    try FileManager.default.removeItem(atPath: path)
    #expect(throws: ConfigurationError.self) { try read() }
    #expect(throws: ConfigurationError.self) {
      try ConfigurationFile(path: NSTemporaryDirectory(), keys: DaemonConfiguration.keys)
    }
  }

  @Test("the page describes every key, with its flag and its meaning, and none that is not there")
  func page() throws {
    let page = try String(
      contentsOf: Checkout.root.appending(path: "docs/operations/configuration.md"), encoding: .utf8)
    let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
    for key in DaemonConfiguration.keys {
      let row = rows.first { $0.hasPrefix("| `\(key.name)` |") }
      let flag = key.flag.map { "`\($0)`" } ?? "|  |"
      #expect(row?.contains(key.summary) == true && row?.contains(flag) == true, "\(key.name)")
      #expect(row?.contains("| HUP |") == key.isReloadable, "\(key.name)")
      if let fallback = key.fallback { #expect(row?.contains(fallback) == true, "\(key.name): \(fallback)") }
    }
    let known = Set(DaemonConfiguration.keys.map(\.name)).union(WorkerSettings.keys).union(WorkerSettings.startKeys)
    let described = rows.flatMap { row in
      row.split(separator: "|").first.map { $0.split(separator: "`").map(String.init) } ?? []
    }.filter { $0.contains { $0.isLetter } }
    #expect(Set(described) == known, "\(Set(described).symmetricDifference(known))")
    #expect(Set(DaemonConfiguration.keys.map(\.variable)).count == DaemonConfiguration.keys.count)
  }

  @Test("every key of the table is read by the configuration: one that is not would be accepted and mean nothing")
  func everyKeyIsRead() throws {
    let source = try String(
      contentsOf: Checkout.root.appending(path: "Sources/JobRunner/Configuration/DaemonConfiguration.swift"),
      encoding: .utf8)
    let reader = source.split(separator: "// MARK: The table of keys").first ?? ""
    let table = source.dropFirst(reader.count)
    for key in DaemonConfiguration.keys {
      let constant = table.split(separator: "\n").enumerated().first { $0.element.contains("\"\(key.name)\",") }
      #expect(constant != nil, "\(key.name)")
    }
    let names = source.matches(of: /static let (\w+) = Self\(/).map { String($0.1) }
    #expect(names.count == DaemonConfiguration.keys.count)
    for name in names where name != "workers" { #expect(reader.contains("(.\(name)"), "\(name) is not read") }
  }
}
