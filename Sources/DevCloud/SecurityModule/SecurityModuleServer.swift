import CPlatform
import Glibc
import Logging
import Synchronization
import Wire

/// Serves the security module on a Unix socket. Each request and each response is a 32-bit big-endian length, then
/// exactly the bytes that `/dev/nsm` would take or give. One thread for each connection, of a bounded number.
final class SecurityModuleServer: Sendable {
  private static let connectionsMax = 64
  /// A worker keeps its connection open between uses, so only a very long silence ends one.
  private static let idleMilliseconds: Int32 = Int32.max

  private let listener: Listener
  private let hypervisor: Hypervisor
  private let logger: Logger
  private let connections = Atomic<Int>(0)

  /// Binds; nothing is answered before ``start()``.
  ///
  /// - Throws: `WireError` when the path cannot be listened on.
  init(path: String, hypervisor: Hypervisor, logger: Logger) throws {
    listener = try Listener(try Endpoint("unix:" + path))
    self.hypervisor = hypervisor
    self.logger = logger
  }

  /// Answers on threads of its own until ``stop()``.
  func start() {
    Self.detach { [self] in
      do {
        while let channel = try listener.accept(stallMilliseconds: Self.idleMilliseconds) { admit(channel) }
      } catch {
        logger.error("security module stopped", metadata: ["reason": "\(error)"])
      }
    }
  }

  /// Stops listening and removes the socket file.
  func stop() { listener.close() }

  private func admit(_ channel: Channel) {
    guard connections.wrappingAdd(1, ordering: .relaxed).newValue <= Self.connectionsMax else {
      connections.wrappingSubtract(1, ordering: .relaxed)
      logger.warning("connection refused: \(Self.connectionsMax) are open")
      return channel.close()
    }
    Self.detach { [self] in
      defer { connections.wrappingSubtract(1, ordering: .relaxed) }
      do {
        try serve(channel)
      } catch {
        logger.warning("connection ended", metadata: ["reason": "\(error)"])
      }
      channel.close()
    }
  }

  private func serve(_ channel: Channel) throws {
    let module = try hypervisor.module(forProcess: try channel.peerProcess().pid)
    while let request = try Self.receive(from: channel) {
      let response = module.respond(to: request, at: cplatform_now_ms())
      let length = UInt32(response.count)
      try channel.write((0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * $0)) } + response)
    }
  }

  /// The next request; nil at the peer's orderly end.
  private static func receive(from channel: Channel) throws -> [UInt8]? {
    guard let first = try channel.read(upTo: 1).first else { return nil }
    let length = (try channel.readExactly(3, "request length")).reduce(Int(first)) { $0 << 8 | Int($1) }
    // The driver refuses such a request before the module sees it, so there is nothing to answer.
    guard length > 0, length <= SecurityModuleRequest.requestBytes else {
      throw WireError.tooLarge("NSM request", limit: SecurityModuleRequest.requestBytes)
    }
    return try channel.readExactly(length, "NSM request")
  }

  /// Runs `body` on a new detached thread.
  private static func detach(_ body: @escaping @Sendable () -> Void) {
    let box = Unmanaged.passRetained(ThreadBody(body))
    var thread = pthread_t()
    let made = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, box.toOpaque())
    if made == 0 { pthread_detach(thread) } else { box.release() }
  }
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
