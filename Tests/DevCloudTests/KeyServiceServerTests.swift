import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import TestSupport
import Testing
import Wire

@testable import DevCloud

/// The whole of devcloud against AWS's own client library: a Python process connects to the security module, is measured,
/// and asks KMS over TLS with botocore.
@Suite(
  "KMS over TLS, from botocore", .serialized, .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"),
  .enabled(if: Need.openssl.isMet, "\(Need.openssl.comment)"))
struct KeyServiceServerTests {
  @Test("gives and refuses what AWS would", .timeLimit(.minutes(15)))
  func botocore() async throws {
    let python = try Need.moto.require().path
    let laboratory = try Laboratory()
    for name in ["image", "other"] {
      let folder = laboratory.path + "/" + name
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try Data("development \(name)\n".utf8).write(to: URL(filePath: folder + "/evidence-class"))
    }
    // Through the venv's links to the program that the kernel runs.
    try laboratory.allow(try ImageMeasurement(executable: python, imageDirectory: laboratory.path + "/image"))
    let script = laboratory.path + "/client.py"
    try Data(keyServiceClient.utf8).write(to: URL(filePath: script))

    let modules = try SecurityModuleServer(
      path: laboratory.path + "/nsm.sock",
      hypervisor: Hypervisor(authority: laboratory.authority, logger: Laboratory.quiet), logger: Laboratory.quiet)
    modules.start()
    defer { modules.stop() }
    try await laboratory.serving { port in
      let good = try await outcomes(
        python, [script, laboratory.path, "\(port)", "--image", laboratory.path + "/image"])
      #expect(good == Self.expected)
      let other = try await outcomes(
        python, [script, laboratory.path, "\(port)", "--image=" + laboratory.path + "/other"])
      #expect(other["release"] == "AccessDeniedException")
      #expect(other["model"] == "AccessDeniedException")
    }
  }

  /// Waits on a thread of its own: the server needs those that tests run on, which may be as few as two.
  private func outcomes(_ python: String, _ arguments: [String]) async throws -> [String: String] {
    let result = try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread { continuation.resume(with: Result { try run(python, arguments) }) }
    }
    #expect(result.status == 0, "\(result.errors)")
    return try JSONDecoder().decode([String: String].self, from: Data(result.output))
  }

  private static let expected = [
    "release": "same key twice",
    "model": "publisher's key",
    "without recipient": "AccessDeniedException",
    "encrypt under the epoch key": "AccessDeniedException",
    "wrong context": "InvalidCiphertextException",
    "wrong secret": "InvalidSignatureException",
    "unknown access key": "UnrecognizedClientException",
    "broken document": "ValidationException",
    "PKCS#1 key": "ValidationException",
    "alias": "NotFoundException",
    "describe": "Enabled",
    "unix socket": "Enabled",
    "wrong server name": "SSLCertVerificationError",
    "TLS 1.2": "SSLError",
    "too large": "413",
  ]
}

@Suite("KMS's TLS")
struct KeyServiceTLSTests {
  @Test("serves a client that insists on X25519MLKEM768", .timeLimit(.minutes(15)))
  func postQuantum() async throws {
    let laboratory = try Laboratory()
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.trustRoots = .file(laboratory.path + "/kms-roots.pem")
    configuration.curves = [.x25519_MLKEM768]
    let context = try NIOSSLContext(configuration: configuration)
    try await laboratory.serving { _ in
      let answer = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: String.self)
      let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let tls = try NIOSSLClientHandler(context: context, serverHostname: "kms.us-east-1.amazonaws.com")
            try channel.pipeline.syncOperations.addHandlers([tls, FirstAnswer(answer)])
          }
        }
        .connect(unixDomainSocketPath: laboratory.path + "/kms.sock").get()
      try await channel.writeAndFlush(ByteBuffer(string: "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"))
      #expect(try await answer.futureResult.get().hasPrefix("HTTP/1.1 400"))
      try await channel.close()
    }
  }

  private final class FirstAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let promise: EventLoopPromise<String>
    init(_ promise: EventLoopPromise<String>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      promise.succeed(String(buffer: unwrapInboundIn(data)))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.fail(error) }
    func channelInactive(context: ChannelHandlerContext) { promise.fail(ChannelError.eof) }
  }
}

extension Laboratory {
  /// Serves KMS on `kms.sock` and a free port for as long as `body` takes.
  func serving(_ body: (Int) async throws -> Void) async throws {
    let server = KeyServiceServer(
      service: try service, tls: try ServerCertificate.configuration(root: state.tlsRoot, at: Self.now),
      logger: Self.quiet)
    let socket = path + "/kms.sock"
    let (ports, ready) = AsyncStream.makeStream(of: Int.self)
    // Before the tests that wait for their turn: its clients do not wait as long.
    let running = Task(priority: .high) {
      defer { ready.finish() }
      try await server.run(socket: socket, port: 0) { ready.yield($0 ?? 0) }
    }
    var iterator = ports.makeAsyncIterator()
    do {
      try await body(try #require(await iterator.next()))
    } catch {
      running.cancel()
      throw error
    }
    running.cancel()
    _ = try? await running.value
  }
}
