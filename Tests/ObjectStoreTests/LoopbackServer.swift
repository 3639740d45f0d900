import Foundation
import Synchronization

/// An HTTP/1.1 server on 127.0.0.1 that answers by a closure, one request for each connection: what a container's
/// endpoint or an instance's metadata service is to the code under test.
final class LoopbackServer: Sendable {
  struct Request: Sendable {
    let method: String
    /// Path and query as they came.
    let target: String
    /// Lower-case names.
    let headers: [String: String]
  }
  enum Response: Sendable {
    case answer(Int, String)
    /// Sent as it is.
    case raw(String)
    /// 200, a length that is a lie, and bytes without an end.
    case endless
    /// Nothing at all, until the client goes.
    case silence
  }

  let endpoint: String
  private let seen = Mutex<[Request]>([])
  private let respond: @Sendable (Request) -> Response

  /// What came so far.
  var requests: [Request] { seen.withLock { $0 } }
  /// The same as `PUT /path`, in order.
  var lines: [String] { requests.map { "\($0.method) \($0.target)" } }

  init(_ respond: @escaping @Sendable (Request) -> Response) throws {
    self.respond = respond
    let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound else { throw Failed() }
    endpoint = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
    // Its thread keeps the server until the tests end.
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
    guard let request = Self.read(client) else { return }
    seen.withLock { $0.append(request) }
    switch respond(request) {
    case .answer(let status, let body):
      let head = "HTTP/1.1 \(status) x\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
      _ = Self.send(client, Array((head + body).utf8))
    case .raw(let text): _ = Self.send(client, Array(text.utf8))
    case .endless:
      let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16)
      guard Self.send(client, Array("HTTP/1.1 200 x\r\nContent-Length: 9000000000\r\n\r\n".utf8)) else { return }
      while Self.send(client, piece) {}
    case .silence:
      var byte: UInt8 = 0
      _ = recv(client, &byte, 1, 0)
    }
  }

  /// Requests of these clients have no body.
  private static func read(_ client: CInt) -> Request? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while Data(bytes).range(of: Data("\r\n\r\n".utf8)) == nil {
      let got = recv(client, &buffer, buffer.count, 0)
      guard got > 0, bytes.count < 1 << 20 else { return nil }
      bytes += buffer.prefix(got)
    }
    let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
    let words = (lines.first ?? "").split(separator: " ")
    guard words.count == 3 else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
    }
    return Request(method: String(words[0]), target: String(words[1]), headers: headers)
  }

  private static func send(_ client: CInt, _ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let put = rest.withUnsafeBytes { Foundation.send(client, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
      guard put > 0 else { return false }
      rest = rest.dropFirst(put)
    }
    return true
  }
}
