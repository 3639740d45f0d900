import Wire

/// The same bytes to a local socket, each behind a 32-bit big-endian length: `devcloud` plays the hypervisor there and
/// measures the process that connects. One connection for each exchange.
///
/// Only an image whose measured directory says so uses it; its documents chain to a development root.
final class SocketModule: SecurityModule {
  private let endpoint: Endpoint
  /// Longest wait for the other end, in milliseconds.
  private static let deadlineMilliseconds: Int32 = 10_000

  init(_ endpoint: Endpoint) { self.endpoint = endpoint }

  func exchange(_ request: [UInt8]) throws -> [UInt8] {
    do {
      let channel = try Channel.connect(
        to: endpoint, timeoutMilliseconds: Self.deadlineMilliseconds, stallMilliseconds: Self.deadlineMilliseconds)
      let length = UInt32(clamping: request.count)
      try channel.write((0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) } + request)
      let head = try channel.readExactly(4, "response length")
      let count = head.reduce(0) { $0 << 8 | Int($1) }
      guard count <= SecurityModuleRequest.responseBytes + Limits.attestationBytes else {
        throw SecurityModuleError.malformed("a response of \(count) bytes")
      }
      return try channel.readExactly(count, "response")
    } catch let error as WireError {
      throw SecurityModuleError.unavailable("\(error)")
    }
  }
}
