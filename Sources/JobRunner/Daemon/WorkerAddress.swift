import CPlatform
import Wire

/// Where an enclave worker is dialled.
enum WorkerAddress: Hashable, Sendable, CustomStringConvertible {
  /// A vsock address on Nitro, or a Unix socket in development.
  case direct(Endpoint)
  /// A guest's port behind the Unix socket of vhost-device-vsock or Firecracker: the host's program says `CONNECT PORT`,
  /// and the device answers `OK …` once the guest took the connection.
  case multiplexed(path: String, port: UInt32)

  /// The longest `OK …` line; the device writes a number after the word.
  private static let answerBytes = 32
  /// Longest wait for a connection, the device's answer included. A guest that is stopped or still boots never answers.
  private static let connectMilliseconds: Int32 = 5_000

  /// Reads `vsock:CID:PORT`, `unix:/path` or `vsock-mux:/path:PORT`.
  init(_ text: String) throws {
    let scheme = "vsock-mux:"
    guard text.hasPrefix(scheme) else {
      self = .direct(try Endpoint(text))
      return
    }
    let rest = text.dropFirst(scheme.count)
    guard let colon = rest.lastIndex(of: ":"), let port = UInt32(rest[rest.index(after: colon)...]),
      case .unix(let path) = try Endpoint("unix:\(rest[..<colon])")
    else { throw WireError.malformed("worker: expected vsock-mux:/path:PORT") }
    self = .multiplexed(path: path, port: port)
  }

  var description: String {
    switch self {
    case .direct(let endpoint): "\(endpoint)"
    case .multiplexed(let path, let port): "vsock-mux:\(path):\(port)"
    }
  }

  /// Connects.
  ///
  /// - Parameter stallMilliseconds: of the channel, once it is connected.
  /// - Throws: ``WireError``, within ``connectMilliseconds`` or little more.
  func connect(
    stallMilliseconds: Int32, timeoutMilliseconds: Int32 = connectMilliseconds
  ) throws -> Channel {
    switch self {
    case .direct(let endpoint):
      return try Channel.connect(
        to: endpoint, timeoutMilliseconds: timeoutMilliseconds, stallMilliseconds: stallMilliseconds)
    case .multiplexed(let path, let port):
      let channel = try Channel.connect(
        to: .unix(path), timeoutMilliseconds: timeoutMilliseconds, stallMilliseconds: timeoutMilliseconds)
      try channel.write(Array("CONNECT \(port)\n".utf8))
      try takeAnswer(channel, before: cplatform_monotonic_ms() + Int64(timeoutMilliseconds))
      channel.stallMilliseconds = stallMilliseconds
      return channel
    }
  }

  /// Byte by byte: what follows the line is the worker's.
  private func takeAnswer(_ channel: Channel, before deadline: Int64) throws {
    var line: [UInt8] = []
    while line.last != UInt8(ascii: "\n") {
      let left = deadline - cplatform_monotonic_ms()
      guard left > 0 else { throw WireError.timedOut("\(self): the device does not finish its answer") }
      guard line.count < Self.answerBytes else { throw WireError.tooLarge("\(self): answer", limit: Self.answerBytes) }
      channel.stallMilliseconds = Int32(clamping: left)
      let byte = try channel.read(upTo: 1)
      // The device hangs up where nobody in the guest listens on the port.
      guard !byte.isEmpty else { throw WireError.connectionLost("\(self): nothing in the guest listens there") }
      line += byte
    }
    guard line.starts(with: Array("OK ".utf8)) else {
      throw WireError.malformed("\(self): the device did not answer OK")
    }
  }
}
