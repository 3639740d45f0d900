import SealedCrypto
import Wire

/// The submitter's own account of every job, from which completeness is proven (protocol §7).
///
///     ledger/lock                           held while a number is taken
///     ledger/<stream id>/stream.cbor        the stream's name, submitter and profile
///     ledger/<stream id>/<number>/          record.cbor, manifest.cose, bundle.age until its receipt, uploaded,
///                                           abandoned
///     ledger/.new-…/                        an entry that is being made; removed when its maker died
///
/// Invariants:
/// - an entry appears whole by one rename of its directory, after its files and before the first byte is uploaded;
/// - the rename refuses a number that is taken, so a number is never used twice, whatever crashed when;
/// - numbers of a stream have no gaps: the next one is the last plus one, taken under the lock;
/// - record, manifest and bundle are never changed afterwards;
/// - an entry is uploaded or abandoned, never both; the stream's next manifest voids the numbers abandoned before it.
package struct Ledger: Sendable {
  private let directory: String

  package init(home: ClientHome) { directory = home.ledgerPath }

  /// Everything, oldest first.
  package func entries() throws -> [LedgerEntry] {
    var entries: [LedgerEntry] = []
    for stream in try streamDirectories() { entries += try self.entries(in: stream) }
    return entries.sorted {
      ($0.record.createdMs, $0.record.stream.sequence) < ($1.record.createdMs, $1.record.stream.sequence)
    }
  }

  /// The job whose name begins with `prefix`, which has at least four hexadecimal digits.
  ///
  /// - Throws: ``ClientError`` of kind `notFound` or `usage`.
  package func entry(named prefix: String) throws -> LedgerEntry {
    let prefix = prefix.lowercased()
    guard prefix.utf8.count >= 4, prefix.utf8.count <= 64, prefix.allSatisfy(\.isHexDigit) else {
      throw ClientError(
        .usage, "\"\(prefix.prefix(80))\" is no job name",
        remedy: "give 4 to 64 hexadecimal digits; `ephemeral list` shows them")
    }
    let found = try entries().filter { $0.record.job.hex.hasPrefix(prefix) }
    guard let entry = found.first else {
      throw ClientError(.notFound, "the ledger has no job \(prefix)", remedy: "`ephemeral list` shows your jobs")
    }
    guard found.count == 1 else {
      throw ClientError(.usage, "\(prefix) begins \(found.count) jobs' names", remedy: "give more digits")
    }
    return entry
  }

  /// The job of a receipt or of a store's listing; nil when it is not ours.
  package func entry(_ job: JobName) throws -> LedgerEntry? { try entries().first { $0.record.job == job } }

  /// The job that was submitted under this key.
  ///
  /// - Throws: ``ClientError`` of kind `usage` when that was under another profile or for another store: it would not be
  ///   what is asked for now.
  package func entry(idempotencyKey: String, profile: String, store: String) throws -> LedgerEntry? {
    guard let entry = try entries().first(where: { $0.record.idempotencyKey == idempotencyKey }) else { return nil }
    guard entry.record.profile == profile, entry.record.store == store else {
      throw ClientError(
        .usage,
        "the idempotency key is job \(entry.record.job.hex.prefix(12))'s, under profile \(entry.record.profile) for "
          + "\(entry.record.store)", remedy: "use another key, or that profile and store")
    }
    return entry
  }

  /// Jobs of a store whose upload is still due, oldest first.
  package func pending(store: String) throws -> [LedgerEntry] {
    try entries().filter { $0.uploadedMs == nil && $0.abandonedMs == nil && $0.record.store == store }
  }

  /// Every stream of a profile, in the order of their ids, with its entries by number.
  package func streams(profile: String) throws -> [LedgerStream] {
    try streamDirectories().compactMap { path in
      let entries = try entries(in: path)
      guard let first = entries.first, first.record.profile == profile else { return nil }
      return LedgerStream(
        id: first.record.stream.id, name: first.record.stream.name, submitter: try submitter(path), entries: entries)
    }
  }

  /// Takes the stream's next number and adds one entry, all or nothing.
  ///
  /// - Parameters:
  ///   - once: with a key that a job has already, that job is returned and nothing is made, however many ask at once.
  ///   - make: given the position and an empty directory, writes `bundle.age` and `manifest.cose` there and says what
  ///     to record. Nothing is recorded when it throws.
  /// - Returns: the entry, durable.
  package func add(
    stream name: String, submitter: VerifyingKey, profile: String, once: (key: String, store: String)? = nil,
    make: (_ position: StreamPosition, _ directory: String) throws -> LedgerRecord
  ) throws -> LedgerEntry {
    try PrivateFiles.makeDirectory(directory)
    let lock = try lock()
    defer { withExtendedLifetime(lock) {} }
    try removeUnfinished()
    if let once, let entry = try entry(idempotencyKey: once.key, profile: profile, store: once.store) { return entry }
    let stream = try findOrMakeStream(name, submitter, profile)
    let before = try entries(in: stream.path)
    let last = before.last
    let position = StreamPosition(
      id: stream.id, name: name, sequence: (last?.record.stream.sequence ?? 0) + 1, previous: last?.record.manifest,
      voided: Self.numbersToVoid(before))

    let unfinished = "\(directory)/.new-\(Hex.encode(Random.bytes(8)))"
    try PrivateFiles.makeDirectory(unfinished)
    do {
      let record = try make(position, unfinished)
      try PrivateFiles.write(record.encoded, to: "\(unfinished)/record.cbor")
      let path = "\(stream.path)/\(Self.directoryName(position.sequence))"
      try PrivateFiles.renameDirectory(unfinished, to: path)
      return LedgerEntry(record: record, uploadedMs: nil, abandonedMs: nil, path: path)
    } catch {
      PrivateFiles.removeEntry(unfinished)
      throw error
    }
  }

  /// Records that the store says it has the whole bundle. The local copy stays.
  ///
  /// - Throws: ``ClientError`` of kind `usage` for an entry that was abandoned meanwhile.
  package func markUploaded(_ entry: LedgerEntry, atMs: UInt64) throws {
    let lock = try lock()
    defer { withExtendedLifetime(lock) {} }
    guard !PrivateFiles.exists(entry.abandonedPath) else {
      throw ClientError(
        .usage, "job \(entry.record.job.hex.prefix(12)) was abandoned while it was uploaded",
        remedy: "take its bundle out of the store's inbox; its number is void")
    }
    try PrivateFiles.write(CBOR.unsigned(atMs).encoded(), to: entry.uploadedPath)
  }

  /// Gives up an entry that was never uploaded: the stream's next manifest, and every head from now on, voids its number.
  ///
  /// - Throws: ``ClientError`` of kind `usage` for one that the store has taken: it may still be computed.
  package func abandon(_ entry: LedgerEntry, atMs: UInt64) throws {
    let lock = try lock()
    defer { withExtendedLifetime(lock) {} }
    guard !PrivateFiles.exists(entry.uploadedPath) else {
      throw ClientError(
        .usage, "job \(entry.record.job.hex.prefix(12)) was uploaded: the host may compute it at any time",
        remedy: "ask the host to stop it with `ephemeral cancel \(entry.record.job.hex.prefix(12))`")
    }
    guard !PrivateFiles.exists(entry.abandonedPath) else { return }
    try PrivateFiles.write(CBOR.unsigned(atMs).encoded(), to: entry.abandonedPath)
    PrivateFiles.remove(entry.bundlePath)
  }

  /// What was abandoned and no manifest has voided yet, as many as one manifest holds.
  private static func numbersToVoid(_ entries: [LedgerEntry]) -> [UInt64] {
    let voided = Set(entries.flatMap(\.record.stream.voided))
    let due = entries.filter { $0.abandonedMs != nil }.map(\.record.stream.sequence).filter { !voided.contains($0) }
    return Array(due.prefix(StreamPosition.voidedLimit))
  }

  /// Lets the sealed bundle go: a receipt that verified proves that an enclave read all of it.
  func releaseBundle(_ entry: LedgerEntry) { PrivateFiles.remove(entry.bundlePath) }

  // MARK: directories

  private struct Stream {
    let id: [UInt8]
    let path: String
  }

  private static func directoryName(_ sequence: UInt64) -> String {
    let digits = String(sequence)
    return String(repeating: "0", count: max(0, 10 - digits.utf8.count)) + digits
  }

  private func lock() throws -> OpenedFile {
    let path = "\(directory)/lock"
    if !PrivateFiles.exists(path) { try? PrivateFiles.write([], to: path, replacing: false) }
    let file = try OpenedFile(reading: path)
    try file.lock()
    return file
  }

  /// Only the holder of the lock makes entries, so whatever is unfinished now was left by one that died.
  private func removeUnfinished() throws {
    for name in try PrivateFiles.names(in: directory) where name.hasPrefix(".new-") {
      PrivateFiles.removeEntry("\(directory)/\(name)")
    }
  }

  private func streamDirectories() throws -> [String] {
    try PrivateFiles.names(in: directory).filter { $0.utf8.count == 32 && Hex.decode($0) != nil }
      .map { "\(directory)/\($0)" }
  }

  private func findOrMakeStream(_ name: String, _ submitter: VerifyingKey, _ profile: String) throws -> Stream {
    guard (1...128).contains(name.utf8.count) else {
      throw ClientError(.usage, "a stream's name has 1 to 128 bytes", remedy: "use another name")
    }
    let label = CBOR.object([
      ("v", .unsigned(1)), ("name", .text(name)), ("submitter", .bytes(submitter.bytes)), ("profile", .text(profile)),
    ]).encoded()
    for path in try streamDirectories() where try PrivateFiles.readIfPresent("\(path)/stream.cbor") == label {
      guard let id = Hex.decode(path.suffix(32)) else { continue }
      return Stream(id: id, path: path)
    }
    let id = Random.bytes(16)
    let path = "\(directory)/\(Hex.encode(id))"
    try PrivateFiles.makeDirectory(path)
    try PrivateFiles.write(label, to: "\(path)/stream.cbor")
    return Stream(id: id, path: path)
  }

  private func submitter(_ stream: String) throws -> VerifyingKey {
    do {
      var fields = try CBORFields(try CBORDecoder.decode(try PrivateFiles.read("\(stream)/stream.cbor")), in: "stream")
      return try VerifyingKey(try fields.bytes("submitter", count: 32))
    } catch let error as WireError {
      throw ClientError(.other, "\(stream)/stream.cbor is damaged: \(error)", remedy: "restore it from a backup")
    }
  }

  private func entries(in stream: String) throws -> [LedgerEntry] {
    try PrivateFiles.names(in: stream).filter { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }.map { name in
      let path = "\(stream)/\(name)"
      do {
        let record = try LedgerRecord(decoding: try PrivateFiles.read("\(path)/record.cbor"))
        guard Self.directoryName(record.stream.sequence) == name, stream.hasSuffix(Hex.encode(record.stream.id)) else {
          throw WireError.malformed("ledger record: it stands in another place than it says")
        }
        return LedgerEntry(
          record: record, uploadedMs: try time("\(path)/uploaded"), abandonedMs: try time("\(path)/abandoned"),
          path: path)
      } catch let error as WireError {
        throw ClientError(
          .other, "the ledger entry \(path) is damaged: \(error)", remedy: "restore it from a backup; do not delete it")
      }
    }
  }

  private func time(_ path: String) throws -> UInt64? {
    guard let bytes = try PrivateFiles.readIfPresent(path, limit: 64) else { return nil }
    guard case .unsigned(let time) = try CBORDecoder.decode(bytes) else {
      throw WireError.malformed("ledger: a time")
    }
    return time
  }
}
