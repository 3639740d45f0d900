import Foundation
import TestSupport
import Testing
import Wire

@testable import JobRunner

/// What a stranger on the port gets. A limit that did not hold would run into the time limit.
@Suite("The status endpoint", .timeLimit(.minutes(5)))
struct EndpointTests {
  /// The endpoint answers the next one who asks: at once, or when a machine that is busy comes to it.
  private func expectAnswer(_ stage: StatusStage) throws {
    var answer = ""
    repeat { answer = try RawClient.get(stage.port, "/readyz") } while answer.isEmpty
    #expect(answer.httpStatus == 200)
  }

  @Test("Every path answers with its type, nothing is cached, framed or loaded, and no cookie is set")
  func paths() throws {
    let stage = try StatusStage()
    stage.show(.sample())
    for (path, type) in [
      ("/", "text/html; charset=utf-8"), ("/status", "text/html; charset=utf-8"), ("/status.json", "application/json"),
      ("/metrics", "text/plain; version=0.0.4; charset=utf-8"), ("/healthz", "application/json"),
      ("/readyz?verbose=1", "application/json"),
    ] {
      let answer = try RawClient.get(stage.port, path)
      #expect(answer.httpStatus == 200, "\(path)")
      #expect(answer.contains("Content-Type: \(type)\r\n"))
      for header in [
        "Cache-Control: no-store", "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer", "Connection: close", "Content-Security-Policy: default-src 'none'; ",
      ] { #expect(answer.contains("\r\n\(header)"), "\(path): \(header)") }
      #expect(!answer.lowercased().contains("cookie") && !answer.contains("unsafe"))
      #expect(answer.contains("Content-Length: \(answer.httpBody.utf8.count)\r\n"))
    }
    #expect(try RawClient.get(stage.port, "/etc/passwd").httpStatus == 404)
    #expect(try RawClient.get(stage.port, "/../../etc/passwd").httpStatus == 404)
    #expect(try RawClient.get(stage.port, "http://localhost/metrics").httpStatus == 404)
  }

  @Test("HEAD has the headers of GET and no body; every other method is refused with those that are allowed")
  func methods() throws {
    let stage = try StatusStage()
    let head = try RawClient.ask(stage.port, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    #expect(head.httpStatus == 200 && head.httpBody.isEmpty && !head.contains("Content-Length: 0"))
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "CONNECT"] {
      let target = method == "CONNECT" ? "localhost:1" : "/metrics"
      let answer = try RawClient.ask(
        stage.port, "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi")
      #expect(answer.httpStatus == 405 && answer.contains("Allow: GET, HEAD"), "\(method)")
      #expect(!answer.contains("hi\r\n"))
    }
  }

  @Test(
    "A name that a stranger may have pointed at this machine is refused; addresses and this machine's names are not",
    arguments: [
      (["Host: localhost"], 200), (["Host: LocalHost:9464"], 200), (["Host: localhost."], 200),
      (["Host: 127.0.0.1"], 200), (["Host: 127.0.0.1:9464"], 200), (["Host: [::1]:9464"], 200), (["Host: [::1]"], 200),
      (["Host: 192.0.2.7:80"], 200), (["Host: status.example:443"], 200), (["Host: evil.example"], 421),
      (["Host: localhost.evil.example"], 421), (["Host: evil.example:9464"], 421),
      (["Host: 127.0.0.1.evil.example"], 421), (["Host: [::1].evil.example"], 421), (["Host: localhost:evil"], 421),
      (["Host: [evil.example]"], 421), (["Host: 0x7f000001"], 421), (["Host: "], 421), ([], 400),
      (["Host: localhost", "Host: evil.example"], 400), (["Host: evil.example", "Host: localhost"], 400),
    ] as [([String], Int)])
  func hosts(_ headers: [String], _ status: Int) throws {
    let stage = try StatusStage(hosts: ["status.example"])
    stage.show(.sample())
    #expect(try RawClient.get(stage.port, "/metrics", headers).httpStatus == status)
  }

  @Test(
    "What is no HTTP is refused or dropped, and the next request is answered",
    arguments: [
      "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", "\u{16}\u{03}\u{01}\u{02}hello",
      "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n", "GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
      String(repeating: "\u{0}", count: 4000), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ])
  func noise(_ text: String) throws {
    let stage = try StatusStage(connectionSeconds: 1)
    stage.show(.sample())
    let answer = try RawClient.ask(stage.port, text)
    #expect(answer.isEmpty || (400..<506).contains(answer.httpStatus), "\(answer.prefix(80))")
    try expectAnswer(stage)
  }

  @Test("Headers and targets over their limits are refused before they are held")
  func sizes() throws {
    let stage = try StatusStage()
    stage.show(.sample())
    let long = String(repeating: "x", count: StatusLimits.requestBytes)
    #expect(try RawClient.get(stage.port, "/metrics", ["Host: localhost", "Big: \(long)"]).httpStatus == 431)
    #expect(try RawClient.get(stage.port, "/\(long)").httpStatus == 431)
    let many = ["Host: localhost"] + (0..<200).map { "H\($0): x" }
    #expect(try (400..<432).contains(RawClient.get(stage.port, "/metrics", many).httpStatus))
    // Without an end.
    let client = try RawClient(port: stage.port)
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nBig: ")
    var sent = 0
    while sent < 64 << 20, client.send(String(repeating: "y", count: 64 << 10)) { sent += 64 << 10 }
    #expect(client.receive().httpStatus == 431 || sent < 64 << 20)
    #expect(try RawClient.get(stage.port, "/readyz").httpStatus == 200)
  }

  @Test("Who dribbles, says nothing, or does not read, is gone when his time is over")
  func slow() throws {
    let stage = try StatusStage(connectionSeconds: 1)
    stage.show(.sample())
    let dribbler = try RawClient(port: stage.port)
    let silent = try RawClient(port: stage.port)
    while dribbler.send("G") { usleep(20_000) }
    #expect(silent.receive().isEmpty)
    try expectAnswer(stage)
  }

  @Test("No more connections than there are places; the next come in when those are gone")
  func places() throws {
    let stage = try StatusStage(connectionSeconds: 3600)
    stage.show(.sample())
    var held = try (0..<StatusLimits.connections).map { _ in try RawClient(port: stage.port) }
    for client in held { client.send("GET /readyz HTTP/1.1\r\n") }
    // The places fill as the endpoint's thread comes to it.
    var refused = 0
    while refused == 0 { if try RawClient.get(stage.port, "/readyz").isEmpty { refused += 1 } }
    held = []
    try expectAnswer(stage)
  }

  @Test("Two requests in one go have one answer, and the connection ends")
  func pipelined() throws {
    let stage = try StatusStage()
    stage.show(.sample())
    let twice = String(repeating: "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 2)
    let answer = try RawClient.ask(stage.port, twice)
    #expect(answer.components(separatedBy: "HTTP/1.1 200").count == 2)
  }

  @Test("An address that others reach needs their leave; names are not looked up")
  func addresses() throws {
    for good in ["127.0.0.1:9464", "[::1]:9464", "localhost:9464", "127.9.9.9:0", "unix:/run/x.sock", "/run/x.sock"] {
      #expect(try StatusSettings(listen: good, allowsRemote: false).address.isLoopback)
    }
    for wide in ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:80", "[::ffff:127.0.0.1]:80"] {
      #expect(throws: CannotStart.self) { try StatusSettings(listen: wide, allowsRemote: false) }
      #expect(throws: Never.self) { try StatusSettings(listen: wide, allowsRemote: true) }
    }
    for bad in ["", ":9464", "9464", "example.com:80", "127.0.0.1", "127.0.0.1:70000", "127.0.0.1:-1", "[::1:9464"] {
      #expect(throws: WireError.self) { try StatusAddress(bad) }
    }
  }

  @Test("A Unix socket is for its owner alone, answers, and is gone after the stop")
  func unixSocket() throws {
    let folder = NSTemporaryDirectory() + "/s-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/status.sock"
    let server = try StatusServer(.unix(path)) { .plain(.ok, $0.path) }
    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
    let channel = try Channel.connect(to: .unix(path), stallMilliseconds: 10_000)
    try channel.write(Array("GET /x HTTP/1.1\r\nHost: anything.example\r\n\r\n".utf8))
    var answer: [UInt8] = []
    while let piece = try? channel.read(upTo: 4096), !piece.isEmpty { answer += piece }
    #expect(String(decoding: answer, as: UTF8.self).httpBody == "/x\n")
    server.stop()
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test("A port that is taken is an error that names it")
  func taken() throws {
    let stage = try StatusStage()
    let error = #expect(throws: CannotStart.self) {
      _ = try StatusServer(.tcp(host: "127.0.0.1", port: stage.port)) { _ in .plain(.ok, "") }
    }
    #expect(error?.description.contains("127.0.0.1:\(stage.port)") == true)
  }
}
