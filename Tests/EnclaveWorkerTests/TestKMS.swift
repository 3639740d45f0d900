import Crypto
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// A KMS in this process, behind real TLS on a Unix socket, as a hostile host's relay would reach it: honest unless it is
/// told to misbehave. It verifies no attestation; `devcloud` does, in its own tests.
final class TestKMS: Sendable {
  /// What goes wrong.
  enum Fault: Sendable, Equatable {
    case wrongKeyID, plaintextPresent, noEnvelope, otherEnvelope, shortKey, oversized, stall, hangUp, notJSON
    case error(String, status: UInt)
  }

  /// How it proves who it is.
  struct Identity: Sendable {
    var certificate = "kms"
    var maximumTLS = TLSVersion.tlsv13
    var curves: [NIOTLSCurve] = [.x25519_MLKEM768, .x25519]
  }

  static let vectors = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Vectors/kms-tls")

  static func pem(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: vectors.appendingPathComponent(name)))
  }

  let socket: String
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let fault = Mutex<(fault: Fault, times: Int)?>(nil)
  private let keys = Mutex<[[UInt8]: (key: [UInt8], id: String, context: [String: String])]>([:])
  private let requests = Mutex<[(target: String, headers: [String: String], body: [UInt8])]>([])

  var seen: [(target: String, headers: [String: String], body: [UInt8])] { requests.withLock { $0 } }
  /// - Parameter times: requests for which it does so; nil is for good.
  func misbehave(_ fault: Fault?, times: Int? = nil) { self.fault.withLock { $0 = fault.map { ($0, times ?? .max) } } }

  /// The fault of one request.
  private func takeFault() -> Fault? {
    fault.withLock { script in
      guard let current = script else { return nil }
      script = current.times > 1 ? (current.fault, current.times - 1) : nil
      return current.fault
    }
  }

  init(_ identity: Identity = Identity()) throws {
    socket = NSTemporaryDirectory() + "kms-\(UInt32.random(in: 0 ... .max)).sock"
    var tls = TLSConfiguration.makeServerConfiguration(
      certificateChain: try NIOSSLCertificate.fromPEMBytes(try Self.pem(identity.certificate + ".pem"))
        .map { .certificate($0) },
      privateKey: .privateKey(try NIOSSLPrivateKey(bytes: try Self.pem(identity.certificate + ".key"), format: .pem)))
    tls.maximumTLSVersion = identity.maximumTLS
    tls.curves = identity.curves
    let context = try NIOSSLContext(configuration: tls)
    _ = try ServerBootstrap(group: group).childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(NIOSSLServerHandler(context: context))
        try pipeline.configureHTTPServerPipeline()
        try pipeline.addHandler(Responder(self))
      }
    }.bind(unixDomainSocketPath: socket).wait()
  }

  func stop() {
    try? group.syncShutdownGracefully()
    unlink(socket)
  }

  /// A data key as its owner would have it made, in clear.
  func makeKey(_ arn: String, context: [String: String]) -> (blob: [UInt8], key: [UInt8]) {
    let key = (0..<32).map { _ in UInt8.random(in: 0...255) }
    let blob = (0..<100).map { _ in UInt8.random(in: 0...255) }
    keys.withLock { $0[blob] = (key, arn, context) }
    return (blob, key)
  }

  /// Nil is silence.
  fileprivate func answer(_ head: HTTPRequestHead, _ body: [UInt8], _ fault: Fault?) throws -> (UInt, [UInt8])? {
    var headers: [String: String] = [:]
    for header in head.headers { headers[header.name.lowercased()] = header.value }
    let target = headers["x-amz-target"] ?? ""
    requests.withLock { $0.append((target, headers, body)) }
    switch fault {
    case .stall: return nil
    case .oversized: return (200, [UInt8](repeating: 0x20, count: KMSTransport.responseBytes + 1))
    case .notJSON: return (200, Array("hello".utf8))
    case .error(let name, let status): return (status, Array(#"{"__type":"\#(name)"}"#.utf8))
    default: break
    }
    let request = try JSONDecoder().decode(KMSRequest.self, from: Data(body))
    let context = request.encryptionContext ?? [:]
    let entry: (blob: [UInt8], key: [UInt8])
    if target.hasSuffix("GenerateDataKey") {
      entry = makeKey(request.keyID, context: context)
    } else {
      let blob = Array(request.ciphertextBlob ?? Data())
      guard let found = keys.withLock({ $0[blob] }), found.context == context else {
        return (400, Array(#"{"__type":"InvalidCiphertextException"}"#.utf8))
      }
      guard found.id == request.keyID else { return (400, Array(#"{"__type":"IncorrectKeyException"}"#.utf8)) }
      entry = (blob, found.key)
    }
    let recipient = try publicKey(of: Array(request.recipient?.attestationDocument ?? Data()))
    let secret = fault == .shortKey ? Array(entry.key.dropLast()) : entry.key
    var envelope: [UInt8]? = try TestEnvelope.make(secret, to: recipient)
    if fault == .noEnvelope { envelope = nil }
    if fault == .otherEnvelope {
      envelope = try TestEnvelope.make(secret, to: try KMSRecipientKey().subjectPublicKeyInfo)
    }
    let other = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"
    return (
      200,
      try KMSResponse(
        keyID: fault == .wrongKeyID ? other : request.keyID, ciphertextBlob: entry.blob,
        plaintext: fault == .plaintextPresent ? entry.key : nil, ciphertextForRecipient: envelope
      ).encoded()
    )
  }

  private func publicKey(of document: [UInt8]) throws -> [UInt8] {
    let cose = try COSESign1(document, tagging: .optional, mode: .lenient)
    var fields = try CBORFields(try CBORDecoder.decode(cose.payload, mode: .lenient), in: "document")
    guard fields.optional("user_data") == nil else { throw WireError.malformed("user_data beside a KMS key") }
    return try fields.bytes("public_key")
  }

  private final class Responder: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart
    private let kms: TestKMS
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(_ kms: TestKMS) { self.kms = kms }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head): self.head = head
      case .body(let part): body += part.readableBytesView
      case .end:
        let fault = kms.takeFault()
        if fault == .hangUp { return context.close(promise: nil) }
        guard let head, let (status, reply) = try? kms.answer(head, body, fault) else { return }
        let headers = HTTPHeaders([("Content-Length", String(reply.count))])
        let response = HTTPResponseHead(version: .http1_1, status: .init(statusCode: Int(status)), headers: headers)
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: reply)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  }
}
