import Queue
import Wire

/// One worker that the daemon serves, as configured.
struct WorkerSettings: Sendable, Equatable {
  /// The keys of one entry of `workers` in the configuration file (docs/operations/configuration.md).
  static let keys: Set<String> = [
    "name", "endpoint", "silence_seconds", "queues", "relay_listen", "relay_address", "start",
  ]
  /// The keys of `start`.
  static let startKeys: Set<String> = ["command", "environment", "folder", "stop_seconds"]
  /// Workers of one daemon; each has threads of its own.
  static let limit = 64

  /// What operators call it: 1 to 64 of `a-z 0-9 - _`.
  var name: String
  var endpoint: WorkerAddress
  /// Without a word for so long it counts as lost; nil is `worker_silence_seconds`.
  var silenceSeconds: Double?
  /// Claims from these queues alone; nil is all.
  var queues: [QueueName]?
  /// A relay of its own for this worker; nil is the daemon's.
  var relayListen: Endpoint?
  /// What this worker is told of its relay; nil is the daemon's `relay_address`, or where the relay listens.
  var relayAddress: Endpoint?
  /// How the daemon starts it; nil where somebody else does.
  var start: StartCommand?

  /// Reads `ENDPOINT` or `NAME=ENDPOINT`, as flag and environment have it.
  ///
  /// - Parameter number: for the name of one that has none: `worker-1`.
  /// - Throws: ``ConfigurationError``.
  init(_ text: String, number: Int) throws {
    var draft = Draft()
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    // A path may hold the sign too; a name holds neither colon nor slash.
    if parts.count == 2, !parts[0].contains(where: { $0 == ":" || $0 == "/" }) {
      try draft.set("name", String(parts[0]))
      try draft.set("endpoint", String(parts[1]))
    } else {
      try draft.set("name", "worker-\(number)")
      try draft.set("endpoint", text)
    }
    self = try draft.finished()
  }

  private init(name: String, endpoint: WorkerAddress) {
    self.name = name
    self.endpoint = endpoint
  }

  /// A worker while its keys come in.
  struct Draft {
    private var name: String?
    private var endpoint: WorkerAddress?
    private var rest: [(inout WorkerSettings) -> Void] = []
    var start: StartCommand?

    /// - Throws: ``ConfigurationError`` whose words follow the key's name.
    mutating func set(_ key: String, _ text: String) throws {
      switch key {
      case "name":
        guard let checked = QueueName(text) else { throw ConfigurationError("takes 1 to 64 of a-z, 0-9, - and _") }
        name = checked.rawValue
      case "endpoint":
        do { endpoint = try WorkerAddress(text) } catch { throw ConfigurationError("is no endpoint: \(error)") }
      case "silence_seconds":
        if let reason = ConfigurationKey.workerSilenceSeconds.refusal(of: text) { throw ConfigurationError(reason) }
        rest.append { $0.silenceSeconds = Double(text) }
      case "relay_listen", "relay_address":
        let place: Endpoint
        do { place = try Endpoint(text) } catch { throw ConfigurationError("is no endpoint: \(error)") }
        rest.append { if key == "relay_listen" { $0.relayListen = place } else { $0.relayAddress = place } }
      default: throw ConfigurationError("is not known here")
      }
    }

    mutating func setQueues(_ names: [String]) throws {
      let queues = try names.map { text in
        guard let name = QueueName(text) else { throw ConfigurationError("names no queue: \(text.prefix(80))") }
        return name
      }
      rest.append { $0.queues = queues }
    }

    /// - Throws: ``ConfigurationError`` when something is missing.
    func finished() throws -> WorkerSettings {
      guard let name else { throw ConfigurationError("a worker needs a `name`") }
      guard let endpoint else { throw ConfigurationError("worker \(name) needs an `endpoint`") }
      var settings = WorkerSettings(name: name, endpoint: endpoint)
      for change in rest { change(&settings) }
      settings.start = start
      return settings
    }
  }

  /// Two workers of one name, or of one endpoint, would be one worker that runs two jobs at once, which it refuses.
  ///
  /// - Throws: ``ConfigurationError``.
  static func check(_ workers: [WorkerSettings], at origin: ConfigurationOrigin) throws {
    guard workers.count <= limit else { throw ConfigurationError("workers", at: origin, "are more than \(limit)") }
    for (index, worker) in workers.enumerated() {
      for other in workers[..<index] {
        guard worker.name != other.name else { throw ConfigurationError("workers", at: origin, "\(worker.name) twice") }
        guard worker.endpoint != other.endpoint else {
          throw ConfigurationError(
            "workers", at: origin, "\(other.name) and \(worker.name) have one endpoint, \(worker.endpoint)")
        }
      }
    }
  }
}

/// How the daemon starts a worker: a program and its arguments, without a shell. What `ps` shows to everybody is no
/// place for a secret.
struct StartCommand: Sendable, Equatable {
  static let defaultStopSeconds = 30.0

  /// The program's absolute path, then its arguments.
  let arguments: [String]
  /// All of its environment besides PATH; nothing of the daemon's is handed on.
  var environment: [String: String] = [:]
  /// Where it runs.
  var folder = "/"
  /// From SIGTERM to SIGKILL.
  var stopSeconds = defaultStopSeconds

  /// - Throws: ``ConfigurationError``.
  init(_ arguments: [String]) throws {
    guard let program = arguments.first, program.hasPrefix("/"),
      !arguments.contains(where: { $0.utf8.contains(0) })
    else { throw ConfigurationError("takes a list that begins with a program's absolute path") }
    self.arguments = arguments
  }
}
