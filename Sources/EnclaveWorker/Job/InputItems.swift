import Crypto
import Inference
import SealedCrypto
import Wire

/// One line of the input that is an item.
struct InputLine {
  /// Position among the items, from 0.
  let index: Int
  var line: LineSplitter.Line

  /// Wipes the lines' bytes, of which this array must be the last holder.
  static func wipe(_ lines: inout [InputLine]) {
    for place in lines.indices {
      guard var bytes = lines[place].line.bytes.take() else { continue }
      SecretBytes.wipe(&bytes)
      lines[place].line.bytes = bytes
    }
  }
}

/// The input, cut into windows of items; memory is one window and one piece of the bundle.
final class InputItems {
  /// Items computed together. What a window holds changes no result.
  static let windowItems = 64
  /// Bytes of lines after which a window is closed early.
  static let windowBytes = 4 << 20

  private let bundle: OpenedBundle
  private let claims: JobManifestClaims
  private var hasher = SHA256()
  private var splitter = LineSplitter(limit: Limits.inputLineBytes)
  private var pending: [InputLine] = []
  private var pendingBytes = 0
  private var count = 0
  private var hasEnded = false

  init(_ bundle: OpenedBundle, _ claims: JobManifestClaims) {
    self.bundle = bundle
    self.claims = claims
  }

  /// The next window; nil at the input's end.
  ///
  /// - Throws: ``WorkerFault`` with `failed` for an altered bundle or more items than the manifest says.
  func next() throws -> [InputLine]? {
    while !hasEnded, pending.count < Self.windowItems, pendingBytes < Self.windowBytes {
      var bytes = try bundle.readInput()
      defer { SecretBytes.wipe(&bytes) }
      hasher.update(data: bytes)
      if bytes.isEmpty {
        hasEnded = true
        try take(splitter.finish().map { [$0] } ?? [])
      } else {
        try take(splitter.feed(bytes))
      }
    }
    guard !pending.isEmpty else { return nil }
    let window = Array(pending.prefix(Self.windowItems))
    // Removed, not skipped: the window must be the only holder of its lines, or wiping them would wipe a copy.
    pending.removeFirst(window.count)
    for item in window { pendingBytes -= item.line.bytes?.count ?? 0 }
    return window
  }

  /// Compares digest, item count and length with the manifest, and checks the bundle's end.
  ///
  /// - Throws: ``WorkerFault`` with `failed`.
  func finish() throws {
    guard hasher.value() == claims.inputSHA256 else { throw WorkerFault.failed("the input is not the manifest's") }
    guard UInt64(count) == claims.inputItems else {
      throw WorkerFault.failed("\(count) items, where the manifest says \(claims.inputItems)")
    }
    try bundle.finish()
  }

  private func take(_ lines: [LineSplitter.Line]) throws {
    for line in lines {
      guard UInt64(count) < claims.inputItems else {
        throw WorkerFault.failed("more items than the \(claims.inputItems) of the manifest")
      }
      pending.append(InputLine(index: count, line: line))
      pendingBytes += line.bytes?.count ?? 0
      count += 1
    }
  }
}
