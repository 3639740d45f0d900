import Crypto
import FoundationEssentials
import Wire

/// Writes an object of unknown length: a single PUT as long as it fits one part, a multipart upload otherwise. Parts go
/// up beside each other on the store's lanes, or on the caller's own thread when none is free; the writer itself holds one
/// part. What fails is aborted on the server, as far as that can still be reached.
final class S3Writer: ObjectWriter {
  private enum State {
    /// Nothing has been sent. Goes to `uploading` at the first full part, or to `ended`.
    case collecting
    /// Parts are at the server or on their way. Goes to `ended`.
    case uploading(S3Upload)
    /// Committed, aborted or failed.
    case ended
  }

  private(set) var count: UInt64 = 0
  private let store: S3Store
  private let key: ObjectKey
  private let writeID = S3Store.newWriteID()
  private let action: String
  private var state = State.collecting
  private var buffer: [UInt8] = []

  init(store: S3Store, key: ObjectKey) {
    self.store = store
    self.key = key
    action = "write \(store.location)\(key)"
  }

  deinit {
    // Parts under way end at once. Whoever wants the upload away from the server calls `abort`.
    if case .uploading(let upload) = state { upload.cancel() }
  }

  func write(_ bytes: [UInt8]) throws {
    try orAbort {
      try requireOpen()
      var rest = bytes[...]
      while !rest.isEmpty {
        if buffer.count == store.settings.partBytes { try sendPart() }
        let piece = rest.prefix(store.settings.partBytes - buffer.count)
        buffer += piece
        rest = rest.dropFirst(piece.count)
      }
      count += UInt64(bytes.count)
    }
  }

  func commit(_ condition: WriteCondition) throws -> PutOutcome {
    try orAbort {
      try requireOpen()
      guard case .uploading(let upload) = state else {
        let outcome = try store.put(key, buffer, condition)
        end()
        return outcome
      }
      if condition == .ifAbsent { try store.conditions.require(.completion, for: key) }
      if !buffer.isEmpty { try sendPart() }
      let outcome = try upload.complete(condition)
      // A loser's parts are still there.
      if outcome == .written { end() } else { abort() }
      return outcome
    }
  }

  func abort() {
    if case .uploading(let upload) = state { upload.abort() }
    end()
  }

  private func end() {
    state = .ended
    buffer = []
  }

  private func requireOpen() throws {
    guard case .ended = state else { return }
    throw ObjectStoreError(.invalid, action, "the writer has ended", mend: "report this: it is a fault in the program")
  }

  private func orAbort<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch {
      abort()
      throw error
    }
  }

  /// Gives the buffer away as the next part, and begins the upload before the first.
  private func sendPart() throws {
    let upload: S3Upload
    if case .uploading(let known) = state {
      upload = known
    } else {
      upload = try S3Upload(store: store, key: key, writeID: writeID, action: action)
      // So that a failure of this part finds the upload to abort.
      state = .uploading(upload)
    }
    let part = buffer
    buffer = []
    try upload.send(part)
    buffer.reserveCapacity(store.settings.partBytes)
  }
}
