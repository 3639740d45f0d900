import Foundation
import Logging
import Testing

@testable import JobRunner

/// What a program that reads the log can rely on.
@Suite("The daemon's log")
struct LogTests {
  private struct Line: Decodable {
    let time: String
    let level: String
    let message: String
    let job: String?
    let attempt: Int?
    let field_message: String?
  }

  /// What a log writes to a file of its own.
  private func written(_ format: LogFormat, isJournal: Bool = false, _ body: (Logger) -> Void) throws -> [String] {
    let path = NSTemporaryDirectory() + "log-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    body(DaemonLog(format: format, level: .info, descriptor: descriptor, isJournal: isJournal).logger)
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
  }

  private static let hostile = "a \"quote\"\nnew line \u{1B}[31m \u{7F} \\ back"

  @Test("every JSON line is one object with time, level and message, whatever the words are")
  func json() throws {
    let lines = try written(.json) { log in
      log.info("claimed", metadata: ["job": "abc", "attempt": .stringConvertible(Int64(3))])
      log.warning("\(Self.hostile)", metadata: ["job": "\(Self.hostile)", "message": "mine"])
      log.error("\(String(repeating: "x", count: 100_000))", metadata: ["list": ["a", "b"], "map": ["k": "v"]])
      log.debug("not written")
    }
    #expect(lines.count == 3)
    let parsed = try lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    #expect(parsed.map(\.level) == ["info", "warning", "error"])
    #expect(parsed[0].job == "abc" && parsed[0].attempt == 3 && parsed[0].message == "claimed")
    #expect(parsed[1].message == Self.hostile && parsed[1].job == Self.hostile && parsed[1].field_message == "mine")
    #expect(lines[2].utf8.count < 6000)
    for line in parsed { #expect(line.time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil) }
  }

  @Test("a text line stays one line, and no control character of a peer's reaches the terminal")
  func text() throws {
    let lines = try written(.text) { log in
      log.info("claimed", metadata: ["job": "abc", "words": "two words", "empty": ""])
      log.warning("\(Self.hostile)", metadata: ["job": "\(Self.hostile)"])
    }
    #expect(lines.count == 2)
    #expect(lines[0].hasSuffix(#"Z info claimed empty="" job=abc words="two words""#))
    #expect(lines.allSatisfy { $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } })
  }

  @Test("in the journal each line begins with its priority, which systemd takes off")
  func journal() throws {
    let lines = try written(.json, isJournal: true) { log in
      log.info("one")
      log.critical("two")
    }
    #expect(lines[0].hasPrefix("<6>{") && lines[1].hasPrefix("<2>{"))
  }

  @Test("the level changes for every copy of the logger at once")
  func level() throws {
    let sink = DaemonLog(format: .json, level: .warning, descriptor: -1)
    let copy = sink.logger
    #expect(copy.logLevel == .warning)
    sink.level = .debug
    #expect(copy.logLevel == .debug)
  }

  @Test("times are RFC 3339, also at leap days and the ends of years")
  func times() {
    for (millis, text) in [
      (Int64(0), "1970-01-01T00:00:00.000Z"), (951_782_400_001, "2000-02-29T00:00:00.001Z"),
      (1_735_689_599_999, "2024-12-31T23:59:59.999Z"), (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
      (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (-5, "1970-01-01T00:00:00.000Z"),
    ] { #expect(LogTime.rfc3339(millis) == text) }
  }
}
