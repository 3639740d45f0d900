import Crypto
import Glibc
import Inference
import ObjectStore
import SealedCrypto
import Wire

/// What a source of receipts yields.
package enum FoundEvidence: Sendable {
  /// Bytes that should be a receipt.
  case receipt(FoundReceipt)
  /// What could not be read: never passed over in silence.
  case unreadable(place: String, reason: String)
  /// A file that `results get` writes beside a receipt.
  case leftAside(place: String)
  /// A job's folder without any receipt.
  case unfinished(JobName)
}

/// A file or object that should be a receipt.
package struct FoundReceipt: Sendable {
  package let place: String
  package let bytes: [UInt8]
  /// The job in whose folder it lies; nil in a plain folder.
  package let job: JobName?
  /// Which attempt's folder.
  package let attempt: Int64?
  /// Whether the store committed it; nil in a plain folder.
  package let isCommitted: Bool?
}

/// Where an audit takes its receipts from, one after the other in an order that does not change.
package protocol ReceiptSource {
  /// What to call it.
  var name: String { get }
  /// - Throws: what cannot be got over: a folder that is not there, a store that does not answer; what `body` throws.
  func forEach(_ body: (FoundEvidence) throws -> Void) throws
}

/// A folder of receipts, searched through. Every file in it is taken for a receipt, whatever its name, but those that
/// `results get` puts beside one.
package struct ReceiptFolder: ReceiptSource {
  private static let depth = 16
  private static let beside: Set<String> = [
    "output.jsonl", "errors.jsonl", "embeddings.npy", "ids.jsonl", "fault.txt",
  ]
  package let name: String

  /// - Parameter path: a folder, or one receipt.
  package init(path: String) { name = path }

  package func forEach(_ body: (FoundEvidence) throws -> Void) throws {
    var status = stat()
    guard stat(name, &status) == 0 else {
      throw ClientError(.notFound, "there is no \(name)", remedy: "name a folder of receipts, or a store's URL")
    }
    if status.st_mode & S_IFMT == S_IFDIR {
      try walk(name, below: "", depth: 0, body)
    } else {
      try file(name, place: name, body)
    }
  }

  private func walk(_ path: String, below: String, depth: Int, _ body: (FoundEvidence) throws -> Void) throws {
    guard depth < Self.depth else { return try body(.unreadable(place: below, reason: "folders too deep")) }
    for entry in try PrivateFiles.names(in: path) {
      let (full, place) = ("\(path)/\(entry)", "\(below)\(entry)")
      if try PrivateFiles.isDirectory(full) == true {
        try walk(full, below: "\(place)/", depth: depth + 1, body)
      } else if Self.beside.contains(entry) {
        try body(.leftAside(place: place))
      } else {
        try file(full, place: place, body)
      }
    }
  }

  private func file(_ path: String, place: String, _ body: (FoundEvidence) throws -> Void) throws {
    let bytes: [UInt8]
    do {
      bytes = try PrivateFiles.read(path)
    } catch let error as ClientError {
      return try body(.unreadable(place: place, reason: error.reason))
    }
    try body(.receipt(FoundReceipt(place: place, bytes: bytes, job: nil, attempt: nil, isCommitted: nil)))
  }
}

/// A store as the daemon fills it (`jobs/<name>/…`): the committed receipt of each job, and those of other attempts.
package struct ReceiptStore: ReceiptSource {
  /// Attempts of one job that are looked at.
  private static let attemptsLimit = 64
  private let store: any ObjectStore
  package var name: String { store.location }

  package init(_ store: any ObjectStore) { self.store = store }

  /// One job's folder, as far as the listing has come.
  private struct Folder {
    var job: JobName
    var attempts: [Int64] = []
    var hasCommit = false
    var hasTooMany = false
  }

  package func forEach(_ body: (FoundEvidence) throws -> Void) throws {
    var folder: Folder?
    try store.forEach(prefix: "jobs/") { info in
      let parts = info.key.text.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count > 2, let job = JobName(hex: parts[1]) else {
        try body(.unreadable(place: info.key.text, reason: "it lies in no job's folder"))
        return true
      }
      if folder?.job != job {
        if let folder { try finish(folder, body) }
        folder = Folder(job: job)
      }
      if parts.count == 3, parts[2] == "commit.json" { folder?.hasCommit = true }
      if parts.count == 5, parts[2] == "attempts", parts[4] == "receipt.cose" {
        guard let attempt = Int64(parts[3]), attempt >= 0, "\(attempt)" == parts[3] else {
          try body(.unreadable(place: info.key.text, reason: "it lies in no attempt's folder"))
          return true
        }
        if folder?.attempts.count ?? 0 < Self.attemptsLimit {
          folder?.attempts.append(attempt)
        } else {
          folder?.hasTooMany = true
        }
      }
      return true
    }
    if let folder { try finish(folder, body) }
  }

  private func finish(_ folder: Folder, _ body: (FoundEvidence) throws -> Void) throws {
    let place = "jobs/\(folder.job.hex)"
    if folder.hasTooMany {
      try body(.unreadable(place: place, reason: "more than \(Self.attemptsLimit) attempts"))
    }
    var commit: JobCommit?
    if folder.hasCommit {
      do {
        commit = try self.commit(folder.job)
      } catch {
        try Self.failed(StoreLayout.commit(folder.job), error, body)
      }
    }
    if let commit, !folder.attempts.contains(commit.attempt) {
      try body(.unreadable(place: StoreLayout.commit(folder.job), reason: "the receipt that it names is not there"))
    }
    if folder.attempts.isEmpty, !folder.hasCommit { try body(.unfinished(folder.job)) }
    for attempt in folder.attempts {
      let key = StoreLayout.receipt(folder.job, attempt: attempt)
      let bytes: [UInt8]
      do {
        bytes = try store.getSmall(try ObjectKey(key))
      } catch {
        try Self.failed(key, error, body)
        continue
      }
      let isCommitted = commit?.attempt == attempt
      if isCommitted, let commit, SHA256.digest(of: bytes) != commit.receipt {
        try body(.unreadable(place: key, reason: "it is not the receipt that was committed"))
        continue
      }
      let found = FoundReceipt(
        place: key, bytes: bytes, job: folder.job, attempt: attempt, isCommitted: isCommitted)
      try body(.receipt(found))
    }
  }

  /// The commit, read strictly: of a JSON text that names a member twice, two readers would see two commits.
  private func commit(_ job: JobName) throws -> JobCommit {
    let bytes = try store.getSmall(try ObjectKey(StoreLayout.commit(job)), limit: StoreRecord.limitBytes)
    do {
      _ = try JSONValue(parsing: bytes, limits: JSONLimits(bytes: StoreRecord.limitBytes, depth: 4, values: 64))
    } catch {
      throw ClientError(.invalid, "no commit: \(error)", remedy: "look why the host wrote that", by: .operator_)
    }
    return try JobCommit(parsing: bytes)
  }

  /// What one object alone is guilty of is a finding; a store that does not answer ends the audit.
  private static func failed(_ place: String, _ error: any Error, _ body: (FoundEvidence) throws -> Void) throws {
    switch error {
    case let error as ObjectStoreError where error.isOfOneObject:
      try body(.unreadable(place: place, reason: error.reason))
    case let error as ClientError: try body(.unreadable(place: place, reason: error.reason))
    default: throw error
    }
  }
}
