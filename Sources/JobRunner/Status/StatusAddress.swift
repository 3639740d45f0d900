import Glibc
import Wire

/// Where the status endpoint listens.
enum StatusAddress: Hashable, Sendable, CustomStringConvertible {
  /// An IP address and a port; port 0 is any free one.
  case tcp(host: String, port: Int)
  /// A Unix socket of mode 0600.
  case unix(String)

  /// Reads `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464` or `unix:/path`. Other names are not looked up: what an
  /// endpoint without a password listens on is not left to a resolver.
  ///
  /// - Throws: ``WireError``.
  init(_ text: String) throws {
    if text.hasPrefix("unix:") || text.hasPrefix("/") {
      guard case .unix(let path) = try Endpoint(text) else { throw Self.malformed }
      self = .unix(path)
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw Self.malformed
    }
    var host = String(text[..<colon])
    if host == "localhost" { host = "127.0.0.1" }
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard Self.isAddress(host) else { throw Self.malformed }
    self = .tcp(host: host, port: Int(port))
  }

  private static var malformed: WireError {
    .malformed("status endpoint: expected ADDRESS:PORT, as 127.0.0.1:9464 or [::1]:9464, or unix:/path")
  }

  /// Whether only processes of this machine reach it.
  var isLoopback: Bool {
    switch self {
    case .unix: true
    case .tcp(let host, _): host == "::1" || host.hasPrefix("127.")
    }
  }

  var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }

  /// Whether a text is an IPv4 or IPv6 address.
  static func isAddress(_ text: String) -> Bool {
    var four = in_addr()
    var six = in6_addr()
    return inet_pton(AF_INET, text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1
  }
}
