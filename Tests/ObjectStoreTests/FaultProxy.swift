import Foundation
import Synchronization

/// A TCP proxy between a store and its server that does to each request what a script says: what networks, balancers
/// and busy servers do.
final class FaultProxy: Sendable {
  enum Fault: Sendable {
    case pass
    /// Resets the connection before it reads anything.
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
  }

  let endpoint: String
  private let port: UInt16
  private let script: Mutex<[Fault]>
  private let served = Mutex<[String]>([])

  /// Request lines that came so far.
  var requests: [String] { served.withLock { $0 } }

  /// - Parameter script: one fault for each request; `pass` when it has run out.
  init(to server: String, _ script: [Fault]) throws {
    guard let url = URL(string: server), let port = url.port.flatMap(UInt16.init(exactly:)) else { throw Failed() }
    self.port = port
    self.script = Mutex(script)
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
        Thread.detachNewThread { self.serve(client) }
      }
    }
  }

  private struct Failed: Error {}

  private func serve(_ client: CInt) {
    defer { close(client) }
    let fault = script.withLock { $0.isEmpty ? Fault.pass : $0.removeFirst() }
    if case .refuse = fault { return reset(client) }
    guard let request = Self.readRequest(client) else { return }
    served.withLock { $0.append(String(decoding: request.prefix { $0 != 13 }, as: UTF8.self)) }
    if case .answer(let status, let code) = fault {
      let body = "<?xml version=\"1.0\"?><Error><Code>\(code)</Code><Message>by the test</Message></Error>"
      return Self.send(
        client,
        Array("HTTP/1.1 \(status) x\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)".utf8))
    }
    if case .body(let body) = fault {
      return Self.send(
        client,
        Array("HTTP/1.1 200 x\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)".utf8))
    }
    guard let response = exchange(request), let split = Self.endOfHead(response) else { return }
    let (head, body) = (Array(response[..<split]), Array(response[split...]))
    switch fault {
    case .pass, .refuse, .answer, .body: Self.send(client, response)
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
      Self.send(client, Self.rewriting(head, length: "Content-Length: \(body.count - count)") + body.dropLast(count))
    case .hideLengthAndCut(let count):
      Self.send(client, Self.rewriting(head, length: "X-Nothing: 0") + body.prefix(count))
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

  private static func rewriting(_ head: [UInt8], length: String) -> [UInt8] {
    let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
    return Array(
      lines.map { $0.lowercased().hasPrefix("content-length:") ? length : $0 }.joined(separator: "\r\n").utf8)
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
