/// Where a stream socket is reached: a Unix path, or a vsock address.
package enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A path of at most 107 bytes.
  case unix(String)
  /// A context id and a port (vsock(7)); ``anyCID`` where only a listener's port counts.
  case vsock(cid: UInt32, port: UInt32)

  /// VMADDR_CID_ANY: a listener hears every CID.
  package static let anyCID = UInt32.max

  /// Reads `unix:/path`, a bare absolute path, `vsock:CID:PORT`, or `vsock::PORT` for ``anyCID``.
  package init(_ text: String) throws {
    if text.hasPrefix("vsock:") {
      let parts = text.dropFirst(6).split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let cid = parts[0].isEmpty ? Self.anyCID : UInt32(parts[0]), let port = UInt32(parts[1])
      else { throw WireError.malformed("endpoint: expected vsock:CID:PORT") }
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
    case .vsock(Self.anyCID, let port): "vsock::\(port)"
    case .vsock(let cid, let port): "vsock:\(cid):\(port)"
    }
  }
}
