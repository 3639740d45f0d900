import Foundation
import Glibc
import TestSupport

/// One TCP connection to loopback, byte by byte as a test wishes.
final class RawClient {
  private let descriptor: Int32

  init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port)).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { throw TheatreError("connect: \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  /// False when the peer no longer takes anything.
  @discardableResult
  func send(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Everything until the peer ends or resets the connection.
  func receive() -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
    }
  }

  /// One request, the whole answer.
  static func ask(_ port: Int, _ text: String) throws -> String {
    let client = try RawClient(port: port)
    client.send(text)
    return client.receive()
  }

  /// A well-formed GET.
  static func get(_ port: Int, _ path: String, _ headers: [String] = ["Host: localhost"]) throws -> String {
    try ask(port, "GET \(path) HTTP/1.1\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n")
  }
}

extension String {
  /// The status of an HTTP answer; 0 for none.
  var httpStatus: Int { Int(dropFirst(9).prefix(3)) ?? 0 }
  /// What follows the headers.
  var httpBody: String { range(of: "\r\n\r\n").map { String(self[$0.upperBound...]) } ?? "" }
}
