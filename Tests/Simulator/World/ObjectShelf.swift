import Queue
import Wire

/// What stands in the simulated object store. Reads and writes are consistent; a listing may lag behind. Who wrote a file
/// is kept with it, so that results of two attempts under one number are seen when they mix.
struct ObjectShelf {
  /// A sealed bundle or a cancel statement in the inbox.
  struct InboxEntry {
    let key: String
    let bytes: Int64
    /// Listings show it from then on.
    let visibleAt: Timestamp
  }

  /// Sorted by key.
  private(set) var inbox: [InboxEntry] = []
  /// What each cancel statement says; nil for one that does not verify.
  var cancels: [ContentDigest: JobName?] = [:]
  private(set) var commits: [JobName: JobCommit] = [:]
  /// Job, attempt, file: who wrote it.
  private var files: [JobName: [Int64: [String: Int]]] = [:]

  static let receipt = "receipt.cose"

  mutating func upload(_ entry: InboxEntry) {
    inbox.removeAll { $0.key == entry.key }
    let index = inbox.firstIndex { $0.key > entry.key } ?? inbox.endIndex
    inbox.insert(entry, at: index)
  }

  mutating func removeFromInbox(_ key: String) { inbox.removeAll { $0.key == key } }

  func hasBundle(_ job: JobName) -> Bool {
    inbox.contains { entry in
      if case .bundle(_, _, let name) = InboxKey(entry.key) { name == job } else { false }
    }
  }

  /// False when the file stands already; nothing changes then.
  mutating func putIfAbsent(_ job: JobName, attempt: Int64, _ file: String, by writer: Int) -> Bool {
    guard files[job]?[attempt]?[file] == nil else { return false }
    files[job, default: [:]][attempt, default: [:]][file] = writer
    return true
  }

  /// False when a commit stands already.
  mutating func commit(_ commit: JobCommit, of job: JobName, overwrites: Bool) -> Bool {
    guard overwrites || commits[job] == nil else { return false }
    commits[job] = commit
    return true
  }

  func files(of job: JobName, attempt: Int64) -> [String: Int] { files[job]?[attempt] ?? [:] }

  func attempts(of job: JobName) -> [Int64] { (files[job] ?? [:]).keys.sorted() }

  mutating func delete(_ job: JobName, attempt: Int64, _ file: String) { files[job]?[attempt]?[file] = nil }
}
