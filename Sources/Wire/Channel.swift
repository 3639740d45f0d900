import CPlatform
import Glibc

/// A connected stream socket with a deadline on every wait and on every frame, carrying length-prefixed frames.
///
/// A frame is a 32-bit big-endian length, then that many bytes of deterministic CBOR. Lengths over
/// ``Limits/frameBytes`` are refused before anything is allocated. A channel belongs to one thread at a time; only
/// ``close()`` may come from another, and ends a wait there.
package final class Channel: @unchecked Sendable {
  private let descriptor: Int32
  private let peer: String
  /// Longest wait for a peer that moves nothing, in milliseconds. Of the one thread that uses the channel.
  package var stallMilliseconds: Int32

  /// Handed to the system at once. On vsock each call makes a packet, and since 6.17 (6.12 by backport) Linux lays one of
  /// more than 32 KiB into several descriptors, of which vhost-device-vsock and others take the first alone: the connection
  /// then stalls for ever.
  private static let sendBytes = 16 << 10
  /// When what is under way must be done, by the monotonic clock in milliseconds.
  private var deadline: Int64?

  /// Takes ownership of a connected descriptor.
  package init(descriptor: Int32, peer: String, stallMilliseconds: Int32 = 60_000) {
    self.descriptor = descriptor
    self.peer = peer
    self.stallMilliseconds = stallMilliseconds
  }

  deinit { Glibc.close(descriptor) }

  /// Connects to `endpoint`.
  ///
  /// - Throws: ``WireError/connectionLost(_:)`` or ``WireError/timedOut(_:)``.
  package static func connect(
    to endpoint: Endpoint, timeoutMilliseconds: Int32 = 5_000, stallMilliseconds: Int32 = 60_000
  ) throws -> Channel {
    let descriptor =
      switch endpoint {
      case .unix(let path): cplatform_unix_connect(path, timeoutMilliseconds)
      case .vsock(let cid, let port): cplatform_vsock_connect(cid, port, timeoutMilliseconds)
      }
    guard descriptor >= 0 else {
      let code = errno
      if code == ETIMEDOUT { throw WireError.timedOut("connecting to \(endpoint)") }
      throw WireError.connectionLost("connecting to \(endpoint): \(String(cString: strerror(code)))")
    }
    return Channel(descriptor: descriptor, peer: "\(endpoint)", stallMilliseconds: stallMilliseconds)
  }

  /// Two connected channels, for tests and for relays within one process.
  package static func pair(stallMilliseconds: Int32 = 60_000) throws -> (Channel, Channel) {
    var descriptors: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0 else {
      throw WireError.connectionLost("socketpair: \(String(cString: strerror(errno)))")
    }
    return (
      Channel(descriptor: descriptors[0], peer: "pair", stallMilliseconds: stallMilliseconds),
      Channel(descriptor: descriptors[1], peer: "pair", stallMilliseconds: stallMilliseconds)
    )
  }

  /// The process at the other end of a Unix socket, as the kernel saw it when it connected.
  package func peerProcess() throws -> (pid: Int32, uid: UInt32) {
    var pid: pid_t = 0
    var uid: uid_t = 0
    guard cplatform_peer(descriptor, &pid, &uid) == 0 else {
      throw WireError.connectionLost("peer credentials: \(String(cString: strerror(errno)))")
    }
    return (pid, uid)
  }

  /// Ends both directions; a thread that waits on this channel wakes with ``WireError/connectionLost(_:)``.
  package func close() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// Ends every wait of `body` by a time from now, however often a byte dribbles in before it.
  ///
  /// - Throws: ``WireError/timedOut(_:)`` then; what `body` throws.
  package func within<Result>(milliseconds: Int32, _ body: () throws -> Result) throws -> Result {
    let outer = deadline
    deadline = min(outer ?? .max, Self.now + Int64(milliseconds))
    defer { deadline = outer }
    return try body()
  }

  /// Ends every wait from now on by a time from now; before the channel is shared by two threads, one for each way.
  package func limitLife(milliseconds: Int32) { deadline = min(deadline ?? .max, Self.now + Int64(milliseconds)) }

  private static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// Reads one to `count` bytes; empty at the peer's orderly end.
  package func read(upTo count: Int) throws -> [UInt8] {
    guard count > 0 else { return [] }
    return try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while true {
        try wait(for: Int16(POLLIN))
        // Never blocking: only the wait above has a deadline.
        let got = Glibc.recv(descriptor, buffer.baseAddress, count, Int32(MSG_DONTWAIT))
        if got >= 0 {
          filled = got
          return
        }
        if errno != EINTR && errno != EAGAIN { throw lost("reading") }
      }
    }
  }

  /// Writes all of `bytes`.
  package func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { buffer in
      var sent = 0
      while sent < buffer.count {
        try wait(for: Int16(POLLOUT))
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = min(buffer.count - sent, Self.sendBytes)
        let got = Glibc.send(descriptor, buffer.baseAddress?.advanced(by: sent), count, flags)
        if got >= 0 {
          sent += got
        } else if errno != EINTR && errno != EAGAIN {
          throw lost("writing")
        }
      }
    }
  }

  /// Sends one frame; all of it is taken within ``stallMilliseconds``.
  package func send(_ item: CBOR) throws {
    let body = item.encoded()
    guard body.count <= Limits.frameBytes else { throw WireError.tooLarge("frame to send", limit: Limits.frameBytes) }
    let length = UInt32(body.count)
    try within(milliseconds: stallMilliseconds) {
      try write((0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) } + body)
    }
  }

  /// Receives one frame; nil when the peer closed between frames. Once it has begun, all of it comes within
  /// ``stallMilliseconds``: a byte a minute would hold a thread for a year.
  package func receive() throws -> CBOR? {
    let first = try read(upTo: 4)
    return first.isEmpty ? nil : try within(milliseconds: stallMilliseconds) { try frame(beginning: first) }
  }

  private func frame(beginning first: [UInt8]) throws -> CBOR {
    let head = try first + readExactly(4 - first.count, "frame length from \(peer)")
    let length = head.reduce(0) { $0 << 8 | Int($1) }
    guard length > 0, length <= Limits.frameBytes else { throw WireError.tooLarge("frame", limit: Limits.frameBytes) }
    return try CBORDecoder.decode(try readExactly(length, "frame from \(peer)"))
  }

  private func wait(for events: Int16) throws {
    var poller = pollfd(fd: descriptor, events: events, revents: 0)
    while true {
      let left = deadline.map { Int32(clamping: $0 - Self.now) } ?? .max
      guard left > 0 else { throw WireError.timedOut("\(peer) is too slow") }
      let ready = poll(&poller, 1, min(left, stallMilliseconds))
      if ready > 0 { return }
      if ready == 0, left > stallMilliseconds {
        throw WireError.timedOut("\(peer) moved nothing for \(stallMilliseconds) ms")
      }
      if ready == 0 { continue }
      if errno != EINTR { throw lost("waiting") }
    }
  }

  private func lost(_ doing: String) -> WireError {
    .connectionLost("\(doing) \(peer): \(String(cString: strerror(errno)))")
  }
}

extension Channel: ByteSource, ByteSink {}
