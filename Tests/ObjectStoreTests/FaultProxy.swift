import Foundation
import Synchronization

/// A TCP proxy between a store and its server that does to each request what a script says: what networks, balancers
/// and busy servers do.
final class FaultProxy: Sendable {
  enum Fault: Sendable {
    case pass
    /// Resets the connection in place of an answer, and asks the server nothing.
    case refuse
    /// Answers in the server's place.
    case answer(status: Int, code: String)
    /// Answers 200 with this body in the server's place.
    case body(String)
    /// Lets the server do what was asked, and resets the connection in place of the answer.
    case loseAnswer
    /// Sends so many bytes of the answer's body, then ends or resets the connection.
    case cut(after: Int, reset: Bool)
    /// Sends so many bytes of the body, then nothing more.
    case stall(after: Int)
    /// Sends a few bytes at a time.
    case drip
    /// Sends the whole answer twice.
    case duplicate
    /// A true-looking answer with fewer bytes: the length header is made to fit.
    case shorten(by: Int)
    /// Leaves the length header out and ends the connection early.
    case hideLengthAndCut(after: Int)
    /// Changes one byte of the answer's body.
    case corrupt(at: Int)
    /// Asks the server twice and gives its second answer, as a proxy does that retries by itself.
    case repeatRequest
    /// Takes this header out of the request: a server that does not know it.
    case strip(header: String)
    /// Says that the connection stays, and ends it after the answer.
    case hangUp
    /// Waits before it asks the server.
    case late(milliseconds: Int)
  }

  let endpoint: String
  private let port: UInt16
  private let choose: @Sendable (_ requestLine: String) -> Fault
  private let keepsAlive: Bool
  private let served = Mutex<[String]>([])
  private let underWay = Mutex((now: 0, most: 0))
  private let accepted = Mutex(0)

  /// Request lines that came so far.
  var requests: [String] { served.withLock { $0 } }

  /// The most requests that waited for their answer at the same time.
  var mostAtOnce: Int { underWay.withLock { $0.most } }
  /// Connections that were opened.
  var connections: Int { accepted.withLock { $0 } }

  /// - Parameter script: one fault for each request; `pass` when it has run out.
  convenience init(to server: String, _ script: [Fault], keepsAlive: Bool = false) throws {
    let script = Script(script)
    try self.init(to: server, keepsAlive: keepsAlive) { _ in script.next() }
  }

  private final class Script: Sendable {
    private let rest: Mutex<[Fault]>
    init(_ faults: [Fault]) { rest = Mutex(faults) }
    func next() -> Fault { rest.withLock { $0.isEmpty ? .pass : $0.removeFirst() } }
  }

  /// - Parameters:
  ///   - keepsAlive: connections serve more than one request, as long as nothing goes wrong.
  ///   - choose: asked for each request, with its first line.
  init(to server: String, keepsAlive: Bool = false, choose: @escaping @Sendable (String) -> Fault) throws {
    guard let url = URL(string: server), let port = url.port.flatMap(UInt16.init(exactly:)) else { throw Failed() }
    self.port = port
    self.choose = choose
    self.keepsAlive = keepsAlive
    let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound else { throw Failed() }
    endpoint = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
    // Its thread keeps the proxy until the tests end; stores come and go.
    Thread.detachNewThread { [self] in
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        self.accepted.withLock { $0 += 1 }
        Thread.detachNewThread {
          while self.serve(client) {}
          close(client)
        }
      }
    }
  }

  private struct Failed: Error {}

  /// Serves one request; true when the connection takes another.
  private func serve(_ client: CInt) -> Bool {
    guard let request = Self.readRequest(client) else { return false }
    let line = String(decoding: request.prefix { $0 != 13 }, as: UTF8.self)
    let fault = choose(line)
    if case .refuse = fault {
      reset(client)
      return false
    }
    served.withLock { $0.append(line) }
    underWay.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
    apply(fault, to: request, of: client)
    if case .pass = fault { return keepsAlive }
    return false
  }

  /// A request is over before its answer goes: whoever has the answer may ask again before this thread runs on.
  private func endRequest() { underWay.withLock { $0.now -= 1 } }

  private func apply(_ fault: Fault, to request: [UInt8], of client: CInt) {
    if case .answer(let status, let code) = fault {
      let body = "<?xml version=\"1.0\"?><Error><Code>\(code)</Code><Message>by the test</Message></Error>"
      endRequest()
      return Self.send(
        client,
        Array("HTTP/1.1 \(status) x\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)".utf8))
    }
    if case .body(let body) = fault {
      endRequest()
      return Self.send(
        client,
        Array("HTTP/1.1 200 x\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)".utf8))
    }
    var request = request
    if case .strip(let header) = fault { request = Self.removing(header, from: request) }
    if case .late(let milliseconds) = fault { usleep(useconds_t(milliseconds) * 1000) }
    if case .repeatRequest = fault { _ = exchange(request) }
    let answer = exchange(request)
    endRequest()
    guard let response = answer, let split = Self.endOfHead(response) else { return }
    let (head, body) = (Array(response[..<split]), Array(response[split...]))
    switch fault {
    case .pass where keepsAlive, .hangUp: Self.send(client, Self.replacing("connection", "keep-alive", in: head) + body)
    case .pass, .refuse, .answer, .body, .repeatRequest, .strip, .late: Self.send(client, response)
    case .corrupt(let place):
      var body = body
      if !body.isEmpty { body[place % body.count] ^= 1 }
      Self.send(client, head + body)
    case .loseAnswer: reset(client)
    case .cut(let count, let isReset):
      Self.send(client, head + body.prefix(count))
      if isReset {
        // So that what was sent arrives before the reset throws it away.
        usleep(20_000)
        reset(client)
      }
    case .stall(let count):
      Self.send(client, head + body.prefix(count))
      var byte: UInt8 = 0
      _ = recv(client, &byte, 1, 0)
    case .drip:
      for start in stride(from: 0, to: response.count, by: 4000) {
        Self.send(client, Array(response[start..<min(start + 4000, response.count)]))
        usleep(1000)
      }
    case .duplicate: Self.send(client, response + response)
    case .shorten(let count):
      Self.send(
        client, Self.replacing("content-length", "\(max(body.count - count, 0))", in: head) + body.dropLast(count))
    case .hideLengthAndCut(let count):
      Self.send(client, Self.removing("content-length", from: head) + body.prefix(count))
    }
  }

  private func exchange(_ request: [UInt8]) -> [UInt8]? {
    let server = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    defer { close(server) }
    var address = Self.loopback(port: port)
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected else { return nil }
    Self.send(server, request)
    var response: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    // moto ends the connection behind each answer.
    while case let got = recv(server, &buffer, buffer.count, 0), got > 0 { response += buffer.prefix(got) }
    return response
  }

  private func reset(_ client: CInt) {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(client, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }

  private static func loopback(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }

  private static func readRequest(_ client: CInt) -> [UInt8]? {
    var request: [UInt8] = []
    var wanted = Int.max
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while request.count < wanted {
      let got = recv(client, &buffer, buffer.count, 0)
      guard got > 0 else { return nil }
      request += buffer.prefix(got)
      if wanted == Int.max, let split = endOfHead(request) {
        let head = String(decoding: request[..<split], as: UTF8.self).lowercased()
        let line = head.split(separator: "\r\n").first { $0.hasPrefix("content-length:") }
        wanted = split + (line.flatMap { Int($0.dropFirst(15).filter(\.isNumber)) } ?? 0)
      }
    }
    return request
  }

  /// Behind the empty line.
  private static func endOfHead(_ bytes: [UInt8]) -> Int? {
    Data(bytes.prefix(1 << 16)).range(of: Data("\r\n\r\n".utf8))?.upperBound
  }

  private static func replacing(_ header: String, _ value: String, in head: [UInt8]) -> [UInt8] {
    editing(head) { $0.lowercased().hasPrefix(header + ":") ? "\(header): \(value)" : $0 }
  }

  /// From a head, or from a whole request.
  private static func removing(_ header: String, from bytes: [UInt8]) -> [UInt8] {
    guard let split = endOfHead(bytes) else { return bytes }
    let head = editing(Array(bytes[..<split])) { $0.lowercased().hasPrefix(header + ":") ? "X-Nothing: 0" : $0 }
    return head + bytes[split...]
  }

  private static func editing(_ head: [UInt8], _ line: (String) -> String) -> [UInt8] {
    Array(
      String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n").map(line).joined(separator: "\r\n").utf8)
  }

  private static func send(_ descriptor: CInt, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let put = Foundation.send(
          descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count, CInt(MSG_NOSIGNAL))
        guard put > 0 else { return }
        rest = rest.dropFirst(put)
      }
    }
  }
}
