import Client
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import ObjectStore
import SealedCrypto
import Wire

/// KMS as a model's publisher uses it: `GenerateDataKey` over HTTPS, with the publisher's own credentials. The server's
/// name comes from the key's ARN, wherever the connection goes.
final class PublisherKMS: DataKeyService {
  private let key: KMSKeyARN
  private let credentials: AWSCredentials
  private let endpoint: KMSAddress
  private let roots: NIOSSLTrustRoots

  /// - Parameters:
  ///   - endpoint: `unix:/path` or `host:port`; nil is KMS's own name and port 443.
  ///   - rootsFile: PEM; nil takes the system's roots.
  init(keyARN: String, credentials: AWSCredentials, endpoint: String?, rootsFile: String?) throws {
    do {
      key = try KMSKeyARN(keyARN)
    } catch {
      throw ClientError(.usage, "--kms-key is no full KMS key ARN", remedy: "give arn:aws:kms:…:key/…, no alias")
    }
    self.credentials = credentials
    self.endpoint = try endpoint.map { try KMSAddress($0) } ?? .tcp(host: key.serverName(fips: false), port: 443)
    guard let rootsFile else {
      roots = .default
      return
    }
    let pem = try PrivateFiles.read(rootsFile, limit: 1 << 20)
    guard let certificates = try? NIOSSLCertificate.fromPEMBytes(pem), !certificates.isEmpty else {
      throw ClientError(.usage, "\(rootsFile) holds no certificates", remedy: "name devcloud's kms-roots.pem")
    }
    roots = .certificates(certificates)
  }

  func generateDataKey(_ key: KMSKeyARN, context: KMSEncryptionContext) throws -> GeneratedDataKey {
    guard key == self.key else {
      throw ClientError(.usage, "this connection is for another KMS key", remedy: "name one --kms-key")
    }
    let body = try KMSRequest.generateDataKey(key, context: context, recipient: nil).encoded()
    let host = key.serverName(fips: false)
    let headers = [("Content-Type", KMSAction.contentType), ("X-Amz-Target", KMSAction.generateDataKey.target)]
    let signature = SigV4Signer(credentials: credentials, region: key.region, service: "kms").sign(
      method: "POST", host: host, path: "/", headers: headers, payload: .body(body),
      at: Int64(clamping: Timestamps.nowMs() / 1000))
    let (status, answer) = try KMSPost(host: host, endpoint: endpoint, roots: roots).send(headers + signature, body)
    guard status == 200 else { throw Self.refusal(status, answer, key) }
    let reply = try KMSResponse(json: answer)
    guard reply.keyID == key.text else {
      throw ClientError(.rejected, "KMS answered for another key", remedy: "look who answers there")
    }
    guard let blob = reply.ciphertextBlob, var plaintext = reply.plaintext.map({ Array($0) }), plaintext.count == 32
    else {
      throw ClientError(.rejected, "KMS gave no data key", remedy: "look who answers there")
    }
    return GeneratedDataKey(plaintext: try SecretBytes(copying: &plaintext), ciphertextBlob: Array(blob))
  }

  private static func refusal(_ status: UInt, _ body: [UInt8], _ key: KMSKeyARN) -> ClientError {
    let name = KMSErrorName(json: body)
    let reason = "KMS refused: \(name?.name ?? "status \(status)")"
    switch name?.meaning {
    case .denied:
      return ClientError(
        .other, "KMS does not let these credentials use \(key.text)",
        remedy: "allow your role kms:GenerateDataKey in the key's policy, and in IAM where the key is another account's"
      )
    case .credentialsExpired:
      return ClientError(
        .other, "\(reason): the credentials have ended", remedy: "renew them, for example by signing in again")
    case .credentialsInvalid:
      return ClientError(
        .other, "\(reason): KMS does not take the credentials",
        remedy: "check key id, secret and session token, and that they are of the key's partition")
    case .clockSkew: return ClientError(.other, "\(reason): this machine's clock is wrong", remedy: "set it (NTP)")
    case .keyUnusable:
      return ClientError(
        .other, "\(reason): \(key.text) does not exist, is disabled, waits for its deletion or is not symmetric",
        remedy: "ask the key's owner")
    case .busy: return ClientError(.retryable, reason, remedy: "try again in a moment")
    case nil where status >= 500: return ClientError(.retryable, reason, remedy: "try again in a moment")
    case .wrongCiphertext, .invalid, .other, nil:
      return ClientError(.other, reason, remedy: "check the key's ARN and its kind")
    }
  }
}

/// Where KMS is reached.
enum KMSAddress: Sendable, CustomStringConvertible {
  case unix(String)
  case tcp(host: String, port: Int)

  init(_ text: String) throws {
    if text.hasPrefix("unix:"), text.utf8.count > 5 {
      self = .unix(String(text.dropFirst(5)))
      return
    }
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
      (1...65535).contains(port), colon != text.startIndex
    else { throw ClientError(.usage, "--kms-endpoint takes unix:/path or host:port", remedy: "correct it") }
    self = .tcp(host: String(text[..<colon]), port: port)
  }

  var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .tcp(let host, let port): "\(host):\(port)"
    }
  }
}

/// One HTTPS request and its answer, waited for. TLS 1.3 only; a hybrid key exchange where the server offers it.
private struct KMSPost {
  private static let deadline = TimeAmount.seconds(20)
  let host: String
  let endpoint: KMSAddress
  let roots: NIOSSLTrustRoots

  /// - Throws: ``ClientError`` of kind `retryable`, or `rejected` where the server's certificate is not KMS's.
  func send(_ headers: [(String, String)], _ body: [UInt8]) throws -> (UInt, [UInt8]) {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    defer { group.shutdownGracefully { _ in } }
    let loop = group.next()
    let answer = loop.makePromise(of: (UInt, [UInt8]).self)
    let timer = loop.scheduleTask(in: Self.deadline) { answer.fail(ChannelError.connectTimeout(Self.deadline)) }
    defer { timer.cancel() }
    do {
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.minimumTLSVersion = .tlsv13
      tls.trustRoots = roots
      tls.curves = [.x25519_MLKEM768, .x25519, .secp256r1]
      tls.applicationProtocols = ["http/1.1"]
      let context = try NIOSSLContext(configuration: tls)
      let (host, exchange) = (host, KMSExchange(host: host, headers: headers, body: body, answer: answer))
      let bootstrap = ClientBootstrap(group: loop).connectTimeout(.seconds(10)).channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: host))
          try pipeline.addHTTPClientHandlers()
          try pipeline.addHandler(exchange)
        }
      }
      let connection =
        switch endpoint {
        case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
        case .tcp(let name, let port): bootstrap.connect(host: name, port: port)
        }
      connection.cascadeFailure(to: answer)
      defer { connection.whenSuccess { $0.close(promise: nil) } }
      return try answer.futureResult.wait()
    } catch {
      answer.fail(error)
      if case NIOSSLError.handshakeFailed = error {
        throw ClientError(
          .rejected, "whoever answers at the KMS endpoint cannot prove to be \(host)",
          remedy: "check --kms-endpoint and --kms-roots")
      }
      throw ClientError(
        .retryable, "KMS at \(endpoint) cannot be reached: \(Self.words(error))",
        remedy: "check the network or --kms-endpoint")
    }
  }

  /// What the network's libraries mean, for people.
  private static func words(_ error: any Error) -> String {
    switch error {
    case ChannelError.connectTimeout: "no answer in time"
    case ChannelError.eof: "the connection ended before the answer"
    case is NIOConnectionError: "nobody answers there, or its name has no address"
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case let error as WireError: "\(error)"
    default: "the connection failed"
    }
  }
}

/// Sends the one request, collects the one answer. Used on its channel's event loop only.
private final class KMSExchange: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart
  private static let responseBytes = 64 << 10

  private let host: String
  private let headers: [(String, String)]
  private let body: [UInt8]
  private let answer: EventLoopPromise<(UInt, [UInt8])>
  private var status: UInt = 0
  private var received: [UInt8] = []

  init(host: String, headers: [(String, String)], body: [UInt8], answer: EventLoopPromise<(UInt, [UInt8])>) {
    self.host = host
    self.headers = headers
    self.body = body
    self.answer = answer
  }

  // The TLS handler below holds these back until the handshake is done and verified: nothing is sent in clear.
  func channelActive(context: ChannelHandlerContext) {
    var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/")
    head.headers = HTTPHeaders(
      headers + [("Host", host), ("Content-Length", "\(body.count)"), ("Connection", "close")])
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): status = head.status.code
    case .body(let part):
      guard part.readableBytes <= Self.responseBytes - received.count else {
        answer.fail(WireError.tooLarge("KMS's answer", limit: Self.responseBytes))
        context.close(promise: nil)
        return
      }
      received += part.readableBytesView
    case .end:
      answer.succeed((status, received))
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    answer.fail(error)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    answer.fail(ChannelError.eof)
  }
}

/// The publisher's AWS credentials.
enum PublisherCredentials {
  /// - Parameter profile: `FILE:NAME`; nil takes the environment and the shared credentials file, as AWS's tools do.
  static func resolve(_ profile: String?) throws -> AWSCredentials {
    guard let profile else { return try DefaultCredentials(ProcessInfo.processInfo.environment).credentials() }
    guard let colon = profile.lastIndex(of: ":"), colon != profile.startIndex else {
      throw ClientError(.usage, "--aws-profile takes FILE:NAME", remedy: "for devcloud: DIR/credentials:publisher")
    }
    let file = String(profile[..<colon])
    return try DefaultCredentials(
      ["AWS_SHARED_CREDENTIALS_FILE": file], profile: String(profile[profile.index(after: colon)...])
    ).credentials()
  }
}
