import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import enum Wire.Endpoint

/// One HTTPS request to KMS.
struct KMSHTTPRequest: Sendable {
  /// TLS server name and Host header, from the pinned key ARN.
  let serverName: String
  let headers: [(String, String)]
  let body: [UInt8]
}

/// KMS's answer, within ``KMSTransport/responseBytes``.
struct KMSHTTPResponse: Sendable {
  let status: UInt
  let body: [UInt8]
}

/// HTTPS over a connection that the host relays: TLS ends here, and the host sees ciphertext (protocol §2).
///
/// TLS 1.3 only, the image's roots only, a context of its own for each connection (so nothing can be resumed), one
/// request for each connection. The event loop's thread is the only one that this class adds.
final class KMSTransport: Sendable {
  /// The largest body that is taken; KMS's are under 10 KB.
  static let responseBytes = 64 << 10

  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let roots: [NIOSSLCertificate]

  /// - Throws: ``ImageError`` when the PEM text holds no certificate.
  init(rootsPEM: [UInt8]) throws {
    do { roots = try NIOSSLCertificate.fromPEMBytes(rootsPEM) } catch {
      throw ImageError("kms-roots.pem: no certificates")
    }
    guard !roots.isEmpty else { throw ImageError("kms-roots.pem: no certificates") }
  }

  deinit { group.shutdownGracefully { _ in } }

  /// Sends `request` through `relay` and returns the whole answer.
  ///
  /// - Parameters:
  ///   - hybridOnly: offer X25519MLKEM768 alone, so that no other key exchange can be negotiated.
  ///   - deadline: of the reply's last byte.
  /// - Throws: ``KMSFault/unreachable(_:)``, ``KMSFault/notKMS(_:)`` or ``KMSFault/badReply(_:)``.
  func post(
    _ request: KMSHTTPRequest, through relay: Endpoint, hybridOnly: Bool, until deadline: ContinuousClock.Instant
  ) throws -> KMSHTTPResponse {
    let loop = group.next()
    let answer = loop.makePromise(of: KMSHTTPResponse.self)
    let left = (deadline - .now).wholeMilliseconds
    let deadline = loop.scheduleTask(in: .milliseconds(left)) {
      answer.fail(KMSFault.unreachable("no answer within the deadline"))
    }
    defer { deadline.cancel() }
    do {
      let context = try NIOSSLContext(configuration: configuration(hybridOnly: hybridOnly))
      let socket = try RelayConnection.open(to: relay, stallMilliseconds: Int32(clamping: left))
      let connection = ClientBootstrap(group: loop).channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: request.serverName))
          try pipeline.addHTTPClientHandlers()
          try pipeline.addHandler(KMSExchange(request, answer: answer))
        }
      }.withConnectedSocket(socket)
      connection.cascadeFailure(to: answer)
      defer { connection.whenSuccess { $0.close(promise: nil) } }
      return try answer.futureResult.wait()
    } catch {
      answer.fail(error)
      throw Self.fault(error)
    }
  }

  private func configuration(hybridOnly: Bool) -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.minimumTLSVersion = .tlsv13
    tls.trustRoots = .certificates(roots)
    tls.certificateVerification = .fullVerification
    tls.curves = hybridOnly ? [.x25519_MLKEM768] : [.x25519_MLKEM768, .x25519, .secp256r1]
    tls.applicationProtocols = ["http/1.1"]
    return tls
  }

  /// A failed handshake speaks of who is there; everything else of the way there.
  private static func fault(_ error: any Error) -> KMSFault {
    switch error {
    case let fault as KMSFault: fault
    case NIOSSLError.handshakeFailed(.sslError(let stack)):
      stack == [.eofDuringHandshake]
        ? .unreachable("the connection ended during the handshake") : .notKMS("TLS handshake")
    case NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate: .notKMS("its certificate")
    case let error as NIOSSLExtraError:
      error == .failedToValidateHostname ? .notKMS("its certificate is for another name") : .unreachable("TLS")
    default: .unreachable("the connection failed")
    }
  }
}

/// Sends the one request, collects the one response.
private final class KMSExchange: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let request: KMSHTTPRequest
  private let answer: EventLoopPromise<KMSHTTPResponse>
  private var status: UInt?
  private var body: [UInt8] = []

  init(_ request: KMSHTTPRequest, answer: EventLoopPromise<KMSHTTPResponse>) {
    self.request = request
    self.answer = answer
  }

  // The TLS handler below holds these back until the handshake is done and verified: nothing is sent in clear.
  func channelActive(context: ChannelHandlerContext) {
    var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/")
    head.headers = HTTPHeaders(request.headers)
    head.headers.add(name: "Host", value: request.serverName)
    head.headers.add(name: "Content-Length", value: String(request.body.count))
    head.headers.add(name: "Connection", value: "close")
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): status = head.status.code
    case .body(let part):
      guard part.readableBytes <= KMSTransport.responseBytes - body.count else {
        answer.fail(KMSFault.badReply("a body over \(KMSTransport.responseBytes) bytes"))
        context.close(promise: nil)
        return
      }
      body += part.readableBytesView
    case .end:
      guard let status else { return answer.fail(KMSFault.unreachable("a reply without a head")) }
      answer.succeed(KMSHTTPResponse(status: status, body: body))
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    answer.fail(error)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    answer.fail(KMSFault.unreachable("the connection ended before the reply"))
  }
}
