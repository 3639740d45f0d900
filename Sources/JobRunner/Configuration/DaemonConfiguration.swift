import Foundation
import Logging
import Queue
import SealedCrypto
import Wire

/// What the daemon runs with: every key once, typed and checked. `docs/operations/configuration.md` describes each, and a
/// test holds page, table and this type together.
///
/// To add a key: a constant in the table below and its place in ``keys``, a property that ``init(_:)`` reads, a row on the
/// page. `--set NAME=VALUE`, the environment, the file and `config show` then know it; a flag of its own goes into
/// ``DaemonFlags``.
struct DaemonConfiguration: Sendable {
  /// The object store's URL.
  let storeURL: String
  /// Absolute; holds the queue's database and the sockets.
  let stateFolder: String
  let socketPath: String
  let workers: [WorkerSettings]
  let workerSilenceSeconds: Double
  let relayTarget: RelayTarget
  let relayListen: Endpoint
  /// What workers are told; nil is where the relay listens.
  let relayAddress: Endpoint?
  /// The policy's public key, which stands in the file that `policy_key` names.
  let policyKey: VerifyingKey?
  let schedulesFolder: String?
  /// The file and the profile in it.
  let awsProfile: (file: String, name: String)?
  let pollSeconds: Double
  /// URL of an SQS queue with the bucket's events; a hint only.
  let eventQueue: String?
  let drainSeconds: Double
  let logFormat: LogFormat
  let logLevel: Logger.Level
  /// How long what has ended is kept: docs/operations/queue.md.
  let retention: RetentionPolicy
  /// Nil where the status endpoint is off.
  let status: StatusSettings?

  /// Reads the values of every key.
  ///
  /// - Throws: ``ConfigurationError``; ``CannotStart`` where the policy's key cannot be read.
  init(_ values: ConfigurationValues) throws {
    storeURL = try values.required(.store)
    stateFolder = StateFolder.absolute(try values.required(.state))
    socketPath = values.path(.socket) ?? StateFolder.socket(stateFolder)
    workers = values.workers
    guard !workers.isEmpty else {
      throw ConfigurationError("no worker is named: give --worker ENDPOINT, or `workers` in the configuration file")
    }
    workerSilenceSeconds = values.number(.workerSilenceSeconds)
    relayTarget = try values.parsed(.relayTarget) { try RelayTarget($0) } ?? .automatic
    relayListen = try values.parsed(.relayListen) { try Endpoint($0) } ?? Self.socket("relay.sock", in: stateFolder)
    relayAddress = try values.parsed(.relayAddress) { try Endpoint($0) }
    policyKey = try values.text(.policyKey).map(Self.readKey)
    guard relayTarget != .automatic || policyKey != nil else {
      throw ConfigurationError(
        "relay_target", at: values.origin(.relayTarget), "auto reads the policy: set policy_key too, or name the target"
      )
    }
    schedulesFolder = values.text(.schedules)
    awsProfile = try values.parsed(.awsProfile) { text in
      guard let colon = text.lastIndex(of: ":"), colon > text.startIndex else {
        throw WireError.malformed("expected FILE:NAME")
      }
      return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }
    pollSeconds = values.number(.pollSeconds)
    eventQueue = values.text(.eventQueue)
    drainSeconds = values.number(.drainSeconds)
    logFormat = values.text(.logFormat).flatMap(LogFormat.init) ?? .text
    logLevel = values.text(.logLevel).flatMap { Logger.Level(rawValue: $0) } ?? .info
    retention = RetentionPolicy(
      inboxGrace: values.age(.inboxGraceHours, ofSeconds: 3_600),
      finished: values.age(.keepFinishedDays, ofSeconds: 86_400),
      cancelled: values.age(.keepCancelledDays, ofSeconds: 86_400),
      dead: values.age(.keepDeadDays, ofSeconds: 86_400), records: values.age(.keepRecordsDays, ofSeconds: 86_400))
    status = try values.parsed(.metricsListen) { text in
      try StatusSettings(
        listen: text, allowsRemote: values.flag(.metricsAllowRemote),
        hosts: (values.text(.metricsHosts) ?? "").split(separator: ",").map {
          $0.trimmingCharacters(in: .whitespaces)
        })
    }
  }

  private static func socket(_ name: String, in folder: String) throws -> Endpoint {
    do { return try Endpoint("unix:\(folder)/\(name)") } catch { throw ConfigurationError("\(error)") }
  }

  /// Reads an Ed25519 public key in hexadecimal, as `policy keygen` writes it.
  ///
  /// - Throws: ``CannotStart``, ``ConfigurationError``; the words name the file.
  static func readKey(_ path: String) throws -> VerifyingKey {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw CannotStart("the policy's key \(path) cannot be read")
    }
    guard let bytes = Hex.decode(text.trimmingCharacters(in: .whitespacesAndNewlines)),
      let key = try? VerifyingKey(bytes)
    else { throw ConfigurationError("\(path) does not hold a key in hexadecimal") }
    return key
  }
}

// MARK: The table of keys

extension DaemonConfiguration {
  /// Every key, in the order in which `config show` and the page have them. Add yours at the end.
  static let keys: [ConfigurationKey] = [
    .store, .state, .socket, .workers, .workerSilenceSeconds, .relayTarget, .relayListen, .relayAddress, .policyKey,
    .schedules, .awsProfile, .pollSeconds, .drainSeconds, .logFormat, .logLevel, .eventQueue,
    .inboxGraceHours, .keepFinishedDays, .keepCancelledDays, .keepDeadDays, .keepRecordsDays,
    .metricsListen, .metricsAllowRemote, .metricsHosts,
  ]
}

extension ConfigurationKey {
  static let store = Self("store", flag: "--store", "The object store: file:///folder or s3://bucket/prefix?region=…")
  static let state = Self(
    "state", flag: "--state", "Folder of the queue's database and of the sockets (made with mode 0700).")
  static let socket = Self(
    "socket", flag: "--socket", variable: "EPHEMERAL_DAEMON_SOCKET",
    "The operator's socket (default: daemon.sock in the state folder).")
  static let workers = Self(
    "workers", flag: "--worker", kind: .workers,
    "The enclave workers: vsock:CID:PORT, unix:/path, or vsock-mux:/path:PORT in QEMU, each with NAME= before it if you like."
  )
  static let workerSilenceSeconds = Self(
    "worker_silence_seconds", flag: "--worker-silence", kind: .seconds(1...3600), default: "60",
    "Seconds without a word from a worker after which it counts as lost, and its job is tried again.")
  static let relayTarget = Self(
    "relay_target", flag: "--relay-target", default: "auto",
    "Where the relay finds KMS: host:port, unix:/path of devcloud, or auto: by the policy's key (needs policy_key).")
  static let relayListen = Self(
    "relay_listen", flag: "--relay-listen",
    "Where the relay listens: vsock::PORT on Nitro (default: relay.sock in the state folder).")
  static let relayAddress = Self(
    "relay_address", flag: "--relay-address",
    "What workers are told of the relay (default: vsock:3:PORT, or its socket); vsock:2:PORT in QEMU.")
  static let policyKey = Self(
    "policy_key", flag: "--policy-key",
    "File with the policy's public key in hexadecimal; without it no cancel and no policy's end is seen.")
  static let schedules = Self("schedules", flag: "--schedules", "Folder of schedule definitions (*.yaml).")
  static let awsProfile = Self(
    "aws_profile", flag: "--aws-profile",
    "AWS profile that workers use for KMS, as FILE:NAME (default: AWS's chain, see credentials.md).")
  static let pollSeconds = Self(
    "poll_seconds", flag: "--poll", kind: .seconds(0.05...3600), default: "1", "Seconds between looks into the inbox.")
  static let drainSeconds = Self(
    "drain_seconds", flag: "--drain-seconds", kind: .seconds(0...86_400), default: "30",
    "Seconds that attempts under way may go on after SIGTERM; then they are given back, which costs none.")
  static let logFormat = Self(
    "log_format", flag: "--log-format", kind: .word(["text", "json"]), default: "text",
    "Lines for people, or one JSON object a line.")
  static let logLevel = Self(
    "log_level", flag: "--log-level", kind: .word(Logger.Level.allCases.map(\.rawValue)), default: "info",
    reloadable: true,
    "The least severe lines that are written.")
  static let eventQueue = Self(
    "event_queue", flag: "--event-queue",
    "URL of an SQS queue with the bucket's events, which only shortens the wait between looks (stores.md).")
  static let inboxGraceHours = Self(
    "inbox_grace_hours", kind: .age, default: "24",
    "Hours after a job's end until its bundle leaves the inbox, or never.")
  static let keepFinishedDays = Self(
    "keep_finished_days", kind: .age, default: "90", "Days until a finished job leaves the queue, or never.")
  static let keepCancelledDays = Self(
    "keep_cancelled_days", kind: .age, default: "90",
    "The same for a cancelled job, and for cancel statements.")
  static let keepDeadDays = Self(
    "keep_dead_days", kind: .age, default: "180",
    "The same for a dead job and its bundle; until then it can be retried.")
  static let keepRecordsDays = Self(
    "keep_records_days", kind: .age, default: "400",
    "Days until the names of jobs that left, and runs of schedules, are forgotten, or never.")
  static let metricsListen = Self(
    "metrics_listen", flag: "--metrics-listen",
    "Where the status endpoint listens: 127.0.0.1:9464, [::1]:9464 or unix:/path (default: off).")
  static let metricsAllowRemote = Self(
    "metrics_allow_remote", flag: "--metrics-allow-remote", kind: .flag, default: "false",
    "Let metrics_listen be an address that other machines reach; the endpoint has no password and no TLS.")
  static let metricsHosts = Self(
    "metrics_hosts", flag: "--metrics-hosts",
    "Names by which the status endpoint may be asked, separated by commas, beside addresses and this machine's own.")
}
