import Wire

/// Reads an object of S3 by ranged requests, one ``S3Window`` after another, so that a slow reader holds no connection.
///
/// Once its user has read beyond the first window, the next ones are fetched ahead on the store's lanes: at most
/// ``readAheadWindows``, so memory stays at so many windows and the one that is being read. A whole object is held to the
/// checksum that the store keeps of it, before its last bytes are given out.
final class S3Reader: ObjectReader {
  static let windowBytes: UInt64 = 8 << 20
  static let readAheadWindows = 3

  let info: ObjectInfo
  private let client: S3Client
  private let lanes: TransferLanes
  private let windowBytes: UInt64
  private let action: String
  /// Behind the last window that was taken.
  private var position: UInt64
  private let end: UInt64
  private var meter: S3ChecksumMeter?
  private var window: [UInt8] = []
  private var taken = 0
  private var windowsTaken = 0
  /// Fetched ahead or being fetched, in order, the first at `position`.
  private var ahead: [(range: Range<UInt64>, transfer: Transfer<[UInt8]>)] = []
  private let cancellation = Cancellation()

  /// - Parameter checksum: of the whole object; not used for a range.
  init(store: S3Store, info: ObjectInfo, range: Range<UInt64>, checksum: S3Checksum?, action: String) {
    client = store.client
    lanes = store.lanes
    windowBytes = store.settings.windowBytes
    self.info = info
    self.action = action
    position = range.lowerBound
    end = range.upperBound
    meter = range == 0..<info.bytes ? checksum.map(S3ChecksumMeter.init) : nil
  }

  deinit { cancellation.cancel() }

  func read(upTo count: Int) throws -> [UInt8] {
    guard count > 0 else { return [] }
    while taken == window.count {
      guard position < end else { return [] }
      try advance()
    }
    let piece = Array(window[taken..<min(taken + count, window.count)])
    taken += piece.count
    return piece
  }

  /// Takes the next window.
  private func advance() throws {
    // Before the next comes: two at a time would be one more than is said.
    window = []
    taken = 0
    let bytes: [UInt8]
    do {
      let first = ahead.isEmpty ? nil : ahead.removeFirst()
      let current = first?.range ?? range(at: position)
      fetchAhead(from: ahead.last?.range.upperBound ?? current.upperBound)
      bytes = try first?.transfer.wait().get() ?? source(current).fetch()
      position = current.upperBound
    } catch {
      cancellation.cancel()
      throw error
    }
    windowsTaken += 1
    meter?.update(bytes)
    if position == end, var meter, !meter.isRight() { throw S3Store.damaged(action) }
    window = bytes
  }

  /// Whoever reads one window only, as most do, costs no second one.
  private func fetchAhead(from start: UInt64) {
    guard windowsTaken > 0 else { return }
    var next = start
    while next < end, ahead.count < Self.readAheadWindows {
      let range = range(at: next)
      let source = source(range)
      guard let transfer = lanes.start({ try source.fetch() }) else { return }
      ahead.append((range, transfer))
      next = range.upperBound
    }
  }

  private func range(at start: UInt64) -> Range<UInt64> { start..<min(start + windowBytes, end) }

  private func source(_ range: Range<UInt64>) -> S3Window {
    S3Window(client: client, info: info, action: action, range: range, cancellation: cancellation)
  }
}
