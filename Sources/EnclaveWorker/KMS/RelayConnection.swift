import Glibc
import Wire

/// A connection to the relay whose near end is a Unix socket.
///
/// NIOSSL compares a certificate with the server's name only on a channel that knows its remote address, and NIO knows none
/// on vsock: TLS right on such a channel ends with its handshake (`NIOSSLError.cannotFindPeerIP`). Rather than compare names
/// here, two threads move the bytes between a socket pair, on which NIOSSL does it, and the relay.
enum RelayConnection {
  /// Longest wait for the relay to take the connection.
  private static let connectMilliseconds: Int32 = 5_000

  /// Connects.
  ///
  /// - Parameter stallMilliseconds: after which a silent side ends the connection; longer than the exchange may take.
  /// - Returns: the near end's descriptor, which is the caller's to close; that ends the connection.
  /// - Throws: ``WireError`` where the relay is not there or the system grants no socket or thread.
  static func open(to relay: Endpoint, stallMilliseconds: Int32) throws -> Int32 {
    let far = try Channel.connect(
      to: relay, timeoutMilliseconds: min(connectMilliseconds, stallMilliseconds), stallMilliseconds: stallMilliseconds)
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw WireError.connectionLost("socketpair: \(String(cString: strerror(errno)))")
    }
    let near = Channel(descriptor: ends[1], peer: "TLS", stallMilliseconds: stallMilliseconds)
    guard Thread.start({ pipe(near, far) }), Thread.start({ pipe(far, near) }) else {
      near.close()
      far.close()
      close(ends[0])
      throw WireError.connectionLost("no thread")
    }
    return ends[0]
  }

  /// Moves bytes one way until either side ends; then both are closed, since TLS has no use for half a connection.
  private static func pipe(_ source: Channel, _ sink: Channel) {
    defer {
      source.close()
      sink.close()
    }
    while let piece = try? source.read(upTo: 16 << 10), !piece.isEmpty {
      guard (try? sink.write(piece)) != nil else { return }
    }
  }
}
