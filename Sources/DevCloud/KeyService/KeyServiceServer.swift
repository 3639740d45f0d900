import CPlatform
import Glibc
import Hummingbird
import HummingbirdTLS
import Logging
import NIOSSL
import Wire

/// Serves ``KeyService`` over HTTPS (TLS 1.3) on a Unix socket, to which relays pipe raw TLS, and on loopback TCP where
/// a port is given. The one place that is asynchronous, because Hummingbird is.
struct KeyServiceServer {
  /// A request holds at most an attestation document and a ciphertext, in base64.
  static let bodyBytesMax = 64 << 10

  let service: KeyService
  let tls: TLSConfiguration
  let logger: Logger

  /// Serves until SIGTERM or SIGINT.
  ///
  /// - Parameters:
  ///   - socket: path of the Unix socket; a file left there by a dead process is replaced.
  ///   - port: on 127.0.0.1; nil for none, 0 for any free one.
  ///   - ready: called once, when everything listens, with the TCP port in use.
  /// - Throws: `WireError` when the socket is in use, or what Hummingbird throws.
  func run(socket: String, port: Int?, ready: @escaping @Sendable (Int?) -> Void) async throws {
    try Self.clearSocket(socket)
    defer { unlink(socket) }
    let listening = Countdown(port == nil ? 1 : 2, ready)
    var server = try application(.unixDomainSocket(path: socket)) { _ in listening.arrive(nil) }
    if let port {
      server.addServices(try application(.hostname("127.0.0.1", port: port)) { listening.arrive($0) })
    }
    try await server.runService()
  }

  private func application(
    _ address: BindAddress, whenRunning: @escaping @Sendable (Int?) -> Void
  ) throws -> Application<RouterResponder<BasicRequestContext>> {
    let router = Router()
    // KMS has this one path. Hummingbird answers any other with 404, before a signature is looked at.
    router.post("/") { request, _ in await respond(to: request) }
    var quiet = logger
    quiet.logLevel = .warning
    return Application(
      router: router,
      server: try .tls(.http1(configuration: .init(idleTimeout: .seconds(60))), tlsConfiguration: tls),
      configuration: ApplicationConfiguration(address: address, serverName: nil),
      onServerRunning: { channel in whenRunning(channel.localAddress?.port) }, logger: quiet)
  }

  private func respond(to request: Request) async -> Response {
    guard let buffer = try? await request.body.collect(upTo: Self.bodyBytesMax) else {
      return Self.response(413, Array(#"{"__type":"RequestEntityTooLargeException","message":""}"#.utf8))
    }
    // HTTP types keep Host apart from the other headers; the signature covers it.
    var headers = request.headers.map { ($0.name.rawName, $0.value) }
    if let host = request.head.authority { headers.append(("host", host)) }
    let call = KeyService.Call(
      method: request.method.rawValue, target: request.head.path ?? "/", headers: headers,
      body: Array(buffer.readableBytesView), now: cplatform_now_ms())
    let (status, body) = service.respond(to: call)
    return Self.response(status, body)
  }

  private static func response(_ status: Int, _ body: [UInt8]) -> Response {
    Response(
      status: HTTPResponse.Status(code: status), headers: [.contentType: "application/x-amz-json-1.1"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }

  /// Makes way for a new socket, but not over one that somebody answers, nor over another kind of file.
  private static func clearSocket(_ path: String) throws {
    guard case .unix(let path) = try Endpoint("unix:" + path) else { return }
    let probe = cplatform_unix_connect(path, 1000)
    if probe >= 0 {
      close(probe)
      throw WireError.connectionLost("listening on \(path): Address already in use")
    }
    var info = stat()
    guard lstat(path, &info) == 0 else { return }
    guard info.st_mode & S_IFMT == S_IFSOCK else {
      throw WireError.connectionLost("listening on \(path): File exists")
    }
    unlink(path)
  }
}
