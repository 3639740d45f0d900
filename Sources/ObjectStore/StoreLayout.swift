import Wire

/// Where everything stands in a store. Client, daemon and publisher meet only here.
package enum StoreLayout {
  /// The policy in force.
  package static let policy = "policy/current.cose"
  /// Below it, a folder for each queue or schedule; the host lists it.
  package static let inbox = "inbox/"
  /// The folder of cancel statements.
  package static let cancels = "inbox/cancel/"
  /// Below it, a folder for each model.
  package static let models = "models/"
  /// Below it, a folder for each epoch.
  package static let epochs = "epochs/"

  /// Below it, a folder for each job.
  package static let jobs = "jobs/"
  /// What the host keeps for the day on which it loses its database: nobody else reads it.
  package static let host = "host/"
  /// Below it, an object for each database that has served the store.
  package static let databases = "host/databases/"
  /// Below it, a folder for each schedule.
  package static let runs = "host/runs/"

  /// Below it, probes that live for a moment.
  package static let doctor = "host/doctor/"

  /// How far a database had come when a daemon last started on it.
  package static func database(_ id: String) -> String { "host/databases/\(id).json" }
  /// Pauses and added schedules of a database.
  package static func settings(_ id: String) -> String { "host/settings/\(id).json" }
  /// That a schedule's nominal time (milliseconds since 1970) had its run, or was passed over. Names sort by time.
  package static func run(_ schedule: String, nominalMs: Int64) -> String {
    let digits = String(max(0, nominalMs))
    return "host/runs/\(schedule)/\(String(repeating: "0", count: max(0, 15 - digits.count)))\(digits).json"
  }

  /// A sealed bundle; its name is the digest of its bytes.
  ///
  /// - Parameter queue: the folder: a queue, or a queue and a tenant (`default/team-a`).
  package static func bundle(_ job: JobName, queue: String) -> String { "inbox/\(queue)/\(job.hex).age" }
  /// A cancel statement, by the digest of its COSE bytes.
  package static func cancel(_ statement: ContentDigest) -> String { "inbox/cancel/\(statement.hex).cose" }
  /// An object of a model, by the digest of its manifest.
  package static func model(_ manifest: ContentDigest, _ name: String) -> String { "models/\(manifest.hex)/\(name)" }
  /// The name of the manifest beside a model's files.
  package static let modelManifest = "manifest.cose"
  /// The announcement of an epoch.
  package static func announcement(_ epoch: UInt64) -> String { "epochs/\(epoch)/announcement.cose" }
  /// The sealed seed of an epoch.
  package static func seed(_ epoch: UInt64) -> String { "epochs/\(epoch)/seed.age" }
  /// The announcement of an epoch that the host has retired.
  package static func retired(_ epoch: UInt64) -> String { "epochs/\(epoch)/retired.cose" }
  /// What the host says of a job: coarse, unsigned.
  package static func state(_ job: JobName) -> String { "jobs/\(job.hex)/state.json" }
  /// The one conditional write that makes an attempt the job's result.
  package static func commit(_ job: JobName) -> String { "jobs/\(job.hex)/commit.json" }
  /// Below it, a folder for each attempt.
  package static func attempts(_ job: JobName) -> String { "jobs/\(job.hex)/attempts/" }
  /// A sealed result file of an attempt.
  package static func result(_ job: JobName, attempt: Int64, _ file: ResultFile) -> String {
    attempts(job) + "\(attempt)/\(file.sealedName)"
  }
  /// The receipt of an attempt.
  package static func receipt(_ job: JobName, attempt: Int64) -> String {
    attempts(job) + "\(attempt)/receipt.cose"
  }
}
