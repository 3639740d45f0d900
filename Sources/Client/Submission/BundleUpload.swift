import Crypto
import ObjectStore
import SealedCrypto
import Wire

/// Brings sealed bundles of the ledger into the store: the first time, again when the host lost one, or never.
package struct BundleUpload {
  private let ledger: Ledger
  private let store: any ObjectStore

  package init(ledger: Ledger, store: any ObjectStore) {
    self.ledger = ledger
    self.store = store
  }

  /// Uploads an entry's sealed bundle, always the same bytes; an entry that is uploaded already is left alone.
  ///
  /// - Throws: ``ClientError`` of kind `usage` for an abandoned one, of kind `invalid` when the store has something else
  ///   of that name; what the store throws.
  package func upload(_ entry: LedgerEntry, nowMs: UInt64, progress: (UInt64) -> Void = { _ in }) throws {
    guard entry.uploadedMs == nil else { return }
    try refuseAbandoned(entry)
    try send(entry, progress)
    try ledger.markUploaded(entry, atMs: nowMs)
  }

  /// Uploads a kept bundle once more, for one that the host lost. The same bytes under the same name: doing it twice
  /// changes nothing.
  ///
  /// - Returns: false when the store has the very bundle still.
  /// - Throws: ``ClientError`` of kind `usage` for a job that has a result, was abandoned, went to another store, or whose
  ///   bundle is not kept; of kind `invalid` when the store has something else of that name; what the store throws.
  package func resend(_ entry: LedgerEntry, nowMs: UInt64, progress: (UInt64) -> Void = { _ in }) throws -> Bool {
    try refuseOtherStore(entry, remedy: "pass --store with that store")
    try refuseAbandoned(entry)
    let name = Self.name(entry)
    guard try Watcher(store: store).commit(entry.record.job) == nil else {
      throw ClientError(
        .usage, "job \(name) has a result; nothing is to be sent", remedy: "see it: `ephemeral receipts verify \(name)`"
      )
    }
    guard entry.hasBundle else {
      throw ClientError(
        .usage, "the sealed bundle of job \(name) is not kept any more: its receipt had verified",
        remedy: "ask the host for the receipt; if it is lost, submit the documents again", by: .operator_)
    }
    let isThere = try isStored(entry)
    if !isThere { try send(entry, progress) }
    if entry.uploadedMs == nil || !isThere { try ledger.markUploaded(entry, atMs: nowMs) }
    return !isThere
  }

  /// Gives up an entry whose upload never happened; its number is void from then on.
  ///
  /// - Throws: ``ClientError`` of kind `usage` when the store had the bundle after all: it may still be computed; of kind
  ///   `invalid` when the store has something else of that name.
  package func abandon(_ entry: LedgerEntry, nowMs: UInt64) throws {
    try refuseOtherStore(entry, remedy: "pass --store with that store, or --without-store when it is gone")
    // A crash between an upload and its record leaves a bundle of which the ledger does not know.
    let watcher = Watcher(store: store)
    if try isStored(entry) || watcher.hostStatement(entry.record.job) != nil
      || watcher.commit(entry.record.job) != nil
    {
      try ledger.markUploaded(entry, atMs: nowMs)
    }
    try ledger.abandon(entry, atMs: nowMs)
  }

  private func send(_ entry: LedgerEntry, _ progress: (UInt64) -> Void) throws {
    let key = try key(entry)
    let file = try OpenedFile(reading: entry.bundlePath)
    let writer = try store.openWriter(key)
    defer { writer.abort() }
    while true {
      let piece = try file.read(upTo: 1 << 18)
      if piece.isEmpty { break }
      try writer.write(piece)
      progress(writer.count)
    }
    // An object of that name should be the same bundle: the name is the digest of its bytes. None at all when we look
    // means that the daemon took it off the inbox meanwhile.
    if try writer.commit(.ifAbsent) == .alreadyExists { _ = try isStored(entry) }
  }

  /// Whether the store has the very bytes; they are read, since whoever lost some may have kept their number.
  private func isStored(_ entry: LedgerEntry) throws -> Bool {
    let key = try key(entry)
    guard let stored = try store.head(key) else { return false }
    guard stored.bytes == entry.record.bundleBytes else { throw other(key, entry, bytes: stored.bytes) }
    let source = try store.read(key)
    var hasher = SHA256()
    while true {
      let piece = try source.read(upTo: 1 << 18)
      if piece.isEmpty { break }
      hasher.update(data: piece)
    }
    guard hasher.value() == entry.record.job else { throw other(key, entry, bytes: stored.bytes) }
    return true
  }

  private func key(_ entry: LedgerEntry) throws -> ObjectKey {
    try ObjectKey(StoreLayout.bundle(entry.record.job, queue: entry.record.queue))
  }

  private func refuseAbandoned(_ entry: LedgerEntry) throws {
    guard entry.abandonedMs == nil else {
      throw ClientError(
        .usage, "job \(Self.name(entry)) was abandoned, its number is void", remedy: "submit the documents again")
    }
  }

  private func refuseOtherStore(_ entry: LedgerEntry, remedy: String) throws {
    guard entry.record.store == store.location else {
      throw ClientError(
        .usage, "job \(Self.name(entry)) was submitted to \(entry.record.store)", remedy: remedy)
    }
  }

  private func other(_ key: ObjectKey, _ entry: LedgerEntry, bytes: UInt64) -> ClientError {
    ClientError(
      .invalid,
      "\(store.location)/\(key) (\(bytes) bytes) is not the bundle that was sealed (\(entry.record.bundleBytes) bytes)",
      remedy: "remove it from the store, then run the command again", by: .operator_)
  }

  private static func name(_ entry: LedgerEntry) -> Substring { entry.record.job.hex.prefix(12) }
}
