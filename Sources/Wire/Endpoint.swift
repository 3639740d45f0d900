/// Where a stream socket is reached: a Unix path, or a vsock address.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A path of at most 107 bytes.
  case unix(String)
  /// A context id and a port (vsock(7)).
  case vsock(cid: UInt32, port: UInt32)

  /// Reads `unix:/path`, a bare absolute path, or `vsock:CID:PORT`.
  package init(_ text: String) throws {
    if text.hasPrefix("vsock:") {
      let parts = text.dropFirst(6).split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let cid = UInt32(parts[0]), let port = UInt32(parts[1]) else {
        throw WireError.malformed("endpoint: expected vsock:CID:PORT")
      }
      self = .vsock(cid: cid, port: port)
      return
    }
    let path = text.hasPrefix("unix:") ? String(text.dropFirst(5)) : text
    guard path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw WireError.malformed("endpoint: expected unix:/path or vsock:CID:PORT")
    }
    guard path.utf8.count <= 107 else {
      throw WireError.malformed("endpoint: a Unix socket path holds at most 107 bytes, this one has \(path.utf8.count)")
    }
    self = .unix(path)
  }

  package var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .vsock(let cid, let port): "vsock:\(cid):\(port)"
    }
  }
}
