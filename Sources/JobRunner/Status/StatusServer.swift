import CPlatform
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Wire

// A page for operators and a scrape for Prometheus, without a password, so it is made as small a door as HTTP allows:
// one event loop on one thread, GET and HEAD, one request for each connection, and a bound on everything a peer decides.
// Answers are made from what `SnapshotKeeper` gathered before: no request reaches the queue, the store or a worker.

/// Bounds of the status endpoint.
enum StatusLimits {
  /// Connections at once; one more is closed as it comes.
  static let connections = 32
  /// Of one request, everything counted.
  static let requestBytes = 16 << 10
  /// Of its headers.
  static let headers = 64
  /// A connection's whole life, answer included: who dribbles, or does not read, is gone by then.
  static let connectionSeconds: Int64 = 10
}

/// The daemon's HTTP endpoint.
final class StatusServer: Sendable {
  private let address: StatusAddress
  private let group: MultiThreadedEventLoopGroup
  private let listener: any NIOCore.Channel
  /// Where it listens; with the port that the system chose where 0 was asked for.
  let boundAddress: StatusAddress

  /// Binds and serves, on a thread of its own.
  ///
  /// - Parameters:
  ///   - hosts: names that a Host header may have beside addresses, `localhost` and this machine's name.
  ///   - connectionSeconds: of ``StatusLimits``; shorter in tests.
  ///   - respond: called on the endpoint's thread; must not block.
  /// - Throws: ``CannotStart``.
  init(
    _ address: StatusAddress, hosts: [String] = [], connectionSeconds: Int64 = StatusLimits.connectionSeconds,
    respond: @escaping @Sendable (StatusRequest) -> StatusResponse
  ) throws {
    self.address = address
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let places = Places(count: StatusLimits.connections)
    let check: HostCheck? = if case .tcp = address { HostCheck(names: hosts) } else { nil }
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 64)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard places.take() else { throw ChannelError.ioOnClosedChannel }
          channel.closeFuture.whenComplete { _ in places.give() }
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(RequestBound())
          try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false,
            withEncoderConfiguration: .init(), withDecoderLimitConfiguration: Self.decoderLimits)
          try pipeline.addHandler(StatusConnection(check: check, respond: respond))
          channel.eventLoop.scheduleTask(in: .seconds(connectionSeconds)) { channel.close(promise: nil) }
        }
      }
    do {
      switch address {
      case .tcp(let host, let port):
        listener = try bootstrap.bind(host: host, port: port).wait()
        boundAddress = .tcp(host: host, port: listener.localAddress?.port ?? port)
      case .unix(let path):
        let descriptor = cplatform_unix_listen(path, 64)
        guard descriptor >= 0 else { throw WireError.connectionLost(String(cString: strerror(errno))) }
        listener = try bootstrap.withBoundSocket(descriptor).wait()
        boundAddress = address
      }
    } catch {
      try? group.syncShutdownGracefully()
      throw CannotStart("the status endpoint cannot listen on \(address): \(error)")
    }
  }

  /// Stops listening, closes what is open and removes the socket's file.
  func stop() {
    if case .unix(let path) = address { unlink(path) }
    try? listener.close().wait()
    try? group.syncShutdownGracefully()
  }

  private static var decoderLimits: NIOHTTPDecoderLimitConfiguration {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = StatusLimits.requestBytes
    limits.maxHeaderListSize = StatusLimits.requestBytes
    limits.maxHeaderFieldCount = StatusLimits.headers
    return limits
  }
}

/// Counts what a peer sends, before anything reads it.
private final class RequestBound: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private var bytes = 0

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    bytes += unwrapInboundIn(data).readableBytes
    guard bytes <= StatusLimits.requestBytes else { return context.fireErrorCaught(RequestTooLarge()) }
    context.fireChannelRead(data)
  }
}

/// More bytes than a request may have.
private struct RequestTooLarge: Error {}

/// One connection: one request, one answer.
private final class StatusConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let check: HostCheck?
  private let respond: @Sendable (StatusRequest) -> StatusResponse
  private var hasAnswered = false

  init(check: HostCheck?, respond: @escaping @Sendable (StatusRequest) -> StatusResponse) {
    self.check = check
    self.respond = respond
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // An answer needs no body, and what comes after the first head is ignored: the connection ends.
    guard !hasAnswered, case .head(let head) = unwrapInboundIn(data) else { return }
    answer(refusal(of: head) ?? respond(StatusRequest(head)), to: head.method, context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard !hasAnswered else { return context.close(promise: nil) }
    let isTooLarge = error is RequestTooLarge || error as? HTTPParserError == .headerOverflow
    answer(
      isTooLarge
        ? .plain(.requestHeaderFieldsTooLarge, "a request has at most \(StatusLimits.requestBytes) bytes")
        : .plain(.badRequest, "not HTTP/1.1"), to: .GET, context)
  }

  private func refusal(of head: HTTPRequestHead) -> StatusResponse? {
    guard head.method == .GET || head.method == .HEAD else {
      var refusal = StatusResponse.plain(.methodNotAllowed, "this endpoint is read with GET and HEAD")
      refusal.allow = "GET, HEAD"
      return refusal
    }
    return check?.refusal(of: head.headers["host"])
  }

  /// Sends the answer and half of the end; the peer's bytes that are still under way are read and dropped, so that no
  /// reset overtakes the answer.
  private func answer(_ response: StatusResponse, to method: HTTPMethod, _ context: ChannelHandlerContext) {
    hasAnswered = true
    let head = HTTPResponseHead(version: .http1_1, status: response.status, headers: response.headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if method != .HEAD {
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: response.body)))), promise: nil)
    }
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(mode: .output, promise: nil) }
  }
}

extension StatusRequest {
  fileprivate init(_ head: HTTPRequestHead) {
    method = head.method
    path = String(head.uri.prefix { $0 != "?" && $0 != "#" })
    hosts = head.headers["host"]
    accept = head.headers.first(name: "accept")
  }
}
