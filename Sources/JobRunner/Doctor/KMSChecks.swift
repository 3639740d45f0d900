import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import SealedCrypto
import Wire

/// KMS at the end of the relay: a name, an address, and somebody who speaks TLS there. Whether it is KMS only the enclave
/// judges.
struct KMSChecks {
  let target: RelayTarget
  /// Nil where none can be read.
  let policy: PolicyClaims?
  private static let deadline = TimeAmount.seconds(10)

  func examine() -> [Diagnosis] {
    switch target {
    case .automatic:
      guard let policy, let found = try? RelayTarget(of: policy) else {
        return [
          .fail(
            "kms", "relay_target is auto, and no policy says where KMS is", meaning: "no worker can open a key",
            remedy: "see `policy` above, or name relay_target (kms.REGION.amazonaws.com:443)")
        ]
      }
      return KMSChecks(target: found, policy: policy).examine()
    case .tcp(let host, let port):
      if let reason = Self.unresolved(host, port) {
        return [
          .fail(
            "kms", "\(host): \(reason)", meaning: "the relay finds no way to KMS",
            remedy: "look at resolv.conf and at the VPC's endpoint for KMS: getent hosts \(host)")
        ]
      }
      return [handshake(.tcp(host: host, port: Int(port)), serverName: host)]
    case .local(.unix(let path)): return [handshake(.unix(path), serverName: nil)]
    case .local: return [.ok("kms", "\(target) is reached over vsock, which is not tried from here")]
    }
  }

  private static func unresolved(_ host: String, _ port: UInt16) -> String? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, "\(port)", &hints, &found)
    guard code == 0 else { return String(cString: gai_strerror(code)) }
    freeaddrinfo(found)
    return nil
  }

  private func handshake(_ address: KMSAddress, serverName: String?) -> Diagnosis {
    do {
      try TLSProbe(address: address, serverName: serverName).shakeHands(within: Self.deadline)
      return .ok("kms", "\(target) answers and speaks TLS", meaning: "only the enclave judges whether it is KMS")
    } catch {
      return .fail(
        "kms", "\(target): \(TLSProbe.words(error))", meaning: "no worker can open a key through the relay",
        remedy: "look at security group, VPC endpoint and proxy on the way; in development start devcloud")
    }
  }
}

/// A TLS handshake with whoever answers, and no more.
private struct TLSProbe {
  let address: KMSAddress
  let serverName: String?

  func shakeHands(within deadline: TimeAmount) throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    defer { group.shutdownGracefully { _ in } }
    let loop = group.next()
    let done = loop.makePromise(of: Void.self)
    let timer = loop.scheduleTask(in: deadline) { done.fail(ChannelError.connectTimeout(deadline)) }
    defer { timer.cancel() }
    var tls = TLSConfiguration.makeClientConfiguration()
    // Whose certificate it is the enclave decides, under the roots that were measured into it.
    tls.certificateVerification = .none
    let context = try NIOSSLContext(configuration: tls)
    let bootstrap = ClientBootstrap(group: loop).connectTimeout(deadline).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(
          NIOSSLClientHandler(context: context, serverHostname: serverName))
        try channel.pipeline.syncOperations.addHandler(HandshakeWatch(done))
      }
    }
    let connection =
      switch address {
      case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
      case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
      }
    connection.cascadeFailure(to: done)
    defer { connection.whenSuccess { $0.close(promise: nil) } }
    try done.futureResult.wait()
  }

  static func words(_ error: any Error) -> String {
    switch error {
    case ChannelError.connectTimeout: "no answer in time"
    case ChannelError.eof: "it hangs up instead of speaking TLS"
    case is NIOConnectionError: "nobody answers there"
    case let error as IOError: String(cString: strerror(error.errnoCode))
    default: "what answers does not speak TLS"
    }
  }
}

/// Tells of the handshake's end.
private final class HandshakeWatch: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer
  private let done: EventLoopPromise<Void>

  init(_ done: EventLoopPromise<Void>) { self.done = done }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case TLSUserEvent.handshakeCompleted = event { done.succeed(()) }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    done.fail(error)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) { done.fail(ChannelError.eof) }
}
