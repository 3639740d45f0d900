import CPlatform
import Glibc

/// A listening stream socket.
package final class Listener: @unchecked Sendable {
  private let descriptor: Int32
  /// Where it listens.
  package let endpoint: Endpoint

  /// Binds and listens. A Unix socket is made with mode 0600; a file left by a dead process is replaced.
  ///
  /// - Throws: ``WireError/connectionLost(_:)`` with the system's reason.
  package init(_ endpoint: Endpoint, backlog: Int32 = 64) throws {
    descriptor =
      switch endpoint {
      case .unix(let path): cplatform_unix_listen(path, backlog)
      case .vsock(_, let port): cplatform_vsock_listen(port, backlog)
      }
    self.endpoint = endpoint
    guard descriptor >= 0 else {
      throw WireError.connectionLost("listening on \(endpoint): \(String(cString: strerror(errno)))")
    }
  }

  deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

  /// Waits for the next connection; nil after ``close()``.
  package func accept(stallMilliseconds: Int32 = 60_000) throws -> Channel? {
    while true {
      let connected = cplatform_accept(descriptor)
      if connected >= 0 {
        return Channel(descriptor: connected, peer: "peer of \(endpoint)", stallMilliseconds: stallMilliseconds)
      }
      switch errno {
      case EINTR, ECONNABORTED: continue
      case EINVAL, EBADF: return nil
      // The system is short of something, which passes: an enclave that ended here would lose its keys.
      case EMFILE, ENFILE, ENOMEM, ENOBUFS, EPROTO: usleep(50_000)
      default: throw WireError.connectionLost("accepting on \(endpoint): \(String(cString: strerror(errno)))")
      }
    }
  }

  /// Stops listening and removes the socket file.
  package func close() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    if case .unix(let path) = endpoint { unlink(path) }
  }
}
