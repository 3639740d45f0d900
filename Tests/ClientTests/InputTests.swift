import Foundation
import Inference
import TestSupport
import Testing
import Wire

@testable import Client

@Suite("Input is judged line by line before anything is sealed")
struct InputTests {
  private let surveyor = InputSurveyor(tokenizer: nil, dimensions: 384, maximumItems: 1000, maximumBytes: 1 << 20)

  private func survey(_ text: String) throws -> InputSurvey { try survey(Array(text.utf8)) }

  private func survey(_ bytes: [UInt8]) throws -> InputSurvey {
    let path = FileManager.default.temporaryDirectory.appending(path: "input-\(UUID().uuidString).jsonl").path
    try Data(bytes).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try surveyor.survey(JSONLFile(path: path))
  }

  @Test("pairs are judged by the operation: a score needs one, an embedding has none")
  func pairs() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "input-\(UUID().uuidString).jsonl").path
    let lines = #"{"id":"a","text":"q","text_pair":"p"}"# + "\n" + #"{"id":"b","text":"q"}"# + "\n"
    try Data(lines.utf8).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    func problems(_ operation: ModelOperation) throws -> [String] {
      try InputSurveyor(
        tokenizer: nil, plan: LinePlan(operation: operation), dimensions: nil, maximumItems: 10, maximumBytes: 1 << 20
      ).survey(JSONLFile(path: path)).problems.map { "\($0.place) \($0.code)" }
    }
    #expect(try problems(.embed) == ["line 1 unsupported_input"])
    #expect(try problems(.score) == ["line 2 missing_parameter"])
    #expect(try problems(.classify) == [])
  }

  @Test("every wrong line is named with its number, its code and its parameter")
  func problems() throws {
    let good = #"{"id":"a","text":"one"}"#
    let lines = [
      good, "", #"{"id":"b","text":7}"#, #"{"id":"a","text":"again"}"#, "not json", #"{"id":"c"}"#,
      #"{"id":"d","text":"x","more":1}"#, #"{"id":"","text":"x"}"#,
    ]
    var bytes = Array(lines.joined(separator: "\n").utf8)
    bytes += Array("\n{\"id\":\"e\",\"text\":\"".utf8) + [0xFF] + Array("\"}\n".utf8)
    let found = try survey(bytes)
    #expect(found.items == 1)
    #expect(
      found.problems.map(\.description) == [
        "line 3: text must be a string, not a number [invalid_type]",
        "line 4: id the id stands at line 1 already [duplicate_id]",
        "line 5: not a JSON value at byte 0 [invalid_json]",
        "line 6: text is missing [missing_parameter]",
        "line 7: more is not known here [unknown_parameter]",
        "line 8: id must have 1 to 512 bytes [invalid_value]",
        "line 9: not UTF-8 [invalid_utf8]",
      ])
  }

  @Test("OpenAI's lines are told by their members, and every member is checked")
  func openAI() throws {
    func line(_ id: String, _ body: String, method: String = "POST", url: String = "/v1/embeddings") -> String {
      #"{"custom_id":"\#(id)","method":"\#(method)","url":"\#(url)","body":\#(body)}"#
    }
    let body = #"{"model":"m","input":"text"}"#
    let found = try survey(
      [
        line("a", body), line("b", body, url: "/v1/chat/completions"), line("c", body, method: "GET"),
        line("d", #"{"model":"m","input":[1,2]}"#), line("e", #"{"model":"m","input":"x","dimensions":5}"#),
        line("a", body),
      ].joined(separator: "\n"))
    #expect(found.format == .openAI)
    #expect(found.items == 1)
    #expect(
      found.problems.map { "\($0.place) \($0.code) \($0.param ?? "-")" } == [
        "line 2 unsupported_url url", "line 3 invalid_value method", "line 4 unsupported_input body.input",
        "line 5 invalid_value body.dimensions", "line 6 duplicate_id custom_id",
      ])
  }

  @Test("a line over a mebibyte is refused and the next one is read")
  func longLine() throws {
    let long = #"{"id":"a","text":""# + String(repeating: "x", count: 1 << 20) + "\"}\n"
    let found = try survey(long + #"{"id":"b","text":"short"}"#)
    #expect(found.items == 1)
    #expect(found.problems.map(\.description) == ["line 1: longer than 1048576 bytes [line_too_long]"])
  }

  @Test("a byte order mark, carriage returns and blank lines change nothing")
  func windowsFile() throws {
    let plain = try survey("{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"y\"}\n")
    let windows = try survey("\u{FEFF}{\"id\":\"a\",\"text\":\"x\"}\r\n\r\n{\"id\":\"b\",\"text\":\"y\"}")
    #expect(windows.problems.isEmpty)
    #expect(windows.sha256 == plain.sha256)
    #expect(windows.bytes == plain.bytes)
  }

  @Test("a folder gives its text files in bytewise order, and counts what it leaves out by reason")
  func folder() throws {
    let desk = try Desk()
    _ = try desk.file("docs/b.txt", "second \"quoted\"\n")
    _ = try desk.file("docs/a/z.md", "first")
    _ = try desk.file("docs/picture.png", [0x89, 0x50, 0x4E, 0x47, 0, 1, 2])
    _ = try desk.file("docs/latin1.txt", [0x63, 0x61, 0x66, 0xE9])
    _ = try desk.file("docs/empty.txt", "")
    _ = try desk.file("docs/blank.txt", " \n\n")
    _ = try desk.file("docs/.hidden", "secret")
    _ = try desk.file("docs/big.txt", String(repeating: "x", count: (1 << 20) + 1))
    try FileManager.default.createSymbolicLink(atPath: "\(desk.folder)/docs/link", withDestinationPath: "/etc/passwd")
    let origin = TextFolder(path: "\(desk.folder)/docs/")
    let found = try surveyor.survey(origin)
    #expect(found.problems.isEmpty)
    #expect(
      found.skipped.reasons == [
        "not text": 1, "not UTF-8 text": 1, "empty": 2, "hidden": 1, "symbolic link": 1, "larger than 1 MiB": 1,
      ])
    let sink = MemorySink()
    try InputEmitter.emit(origin, found, to: sink)
    #expect(
      String(decoding: sink.bytes, as: UTF8.self)
        == "{\"id\":\"a/z.md\",\"text\":\"first\"}\n{\"id\":\"b.txt\",\"text\":\"second \\\"quoted\\\"\\n\"}\n")
    #expect(UInt64(sink.bytes.count) == found.bytes)
  }

  @Test("an input that changes between the two passes is not sealed")
  func changed() throws {
    let desk = try Desk()
    let path = try desk.file("in.jsonl", #"{"id":"a","text":"one"}"#)
    let found = try surveyor.survey(JSONLFile(path: path))
    _ = try desk.file("in.jsonl", #"{"id":"a","text":"two"}"#)
    let error = clientError { try InputEmitter.emit(JSONLFile(path: path), found, to: MemorySink()) }
    #expect(error?.kind == .input)
    #expect(error?.reason == "\(path) changed while it was read")
  }

  @Test("a pipe is spooled under a key of this process, in a file without a name")
  func pipe() throws {
    let desk = try Desk()
    let text = (0..<900).map { #"{"id":"d\#($0)","text":"the needle \#($0)"}"# }.joined(separator: "\n")
    let spool = try SealedSpool(MemorySource(Array(text.utf8)), name: "standard input", directory: desk.home.ledgerPath)
    #expect(try PrivateFiles.names(in: desk.home.ledgerPath).isEmpty)
    let first = try surveyor.survey(spool)
    #expect(first.items == 900)
    let sink = MemorySink()
    try InputEmitter.emit(spool, first, to: sink)
    #expect(String(decoding: sink.bytes, as: UTF8.self) == text + "\n")
  }

  @Test("the policy's bounds hold for the whole input")
  func bounds() throws {
    let text = (0...1000).map { #"{"id":"d\#($0)","text":"x"}"# }.joined(separator: "\n")
    let error = clientError { _ = try survey(text) }
    #expect(error?.kind == .input)
    #expect(error?.reason == "more than 1000 items, which the policy does not allow")
  }

  @Test("tokens are counted with the model's public tokenizer, and what will be cut off is said")
  func tokens() throws {
    let desk = try Desk()
    let entry = clientError {
      _ = try desk.submit(["the report", String(repeating: "the report of a bridge ", count: 20)]) {
        $0.refuseLong = true
      }
    }
    #expect(entry?.kind == .input)
    #expect(entry?.reason.hasSuffix("1 items are longer than the model reads; nothing was uploaded") == true)
    #expect(try desk.ledger.entries().isEmpty)
  }
}
