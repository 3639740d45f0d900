import Crypto
import Inference
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// Jobs of a model that makes texts.
@Suite(.serialized)
struct TextJobTests {
  private static func chat(_ id: String, _ text: String, _ more: String = "") -> String {
    #"{"custom_id":"\#(id)","method":"POST","url":"/v1/chat/completions","body":{"model":"tiny","messages":"#
      + #"[{"role":"system","content":"say what it is"},{"role":"user","content":"\#(text)"}]\#(more)}}"#
  }

  private static func completion(_ id: String, _ text: String) -> String {
    #"{"custom_id":"\#(id)","method":"POST","url":"/v1/completions","body":{"model":"tiny","prompt":"\#(text)"}}"#
  }

  private static let schema =
    #","temperature":0,"max_tokens":200,"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":"#
    + #"{"type":"object","properties":{"kind":{"enum":["memo","report"]},"pages":{"type":"integer","minimum":0,"#
    + #""maximum":9}},"required":["kind","pages"]}}}"#

  private static func lines(_ count: Int) -> [String] {
    (0..<count).map { index in
      switch index % 5 {
      case 0: chat("i\(index)", "the river \(index)")
      case 1: chat("i\(index)", "a bridge", schema)
      case 2: completion("i\(index)", "the other one")
      case 3: #"{"custom_id":"i\#(index)","method":"GET"}"#
      default: chat("i\(index)", String(repeating: "far too long ", count: 500))
      }
    }
  }

  private static func world() throws -> TestWorld {
    let world = try TestWorld(decoder: .safetensors())
    world.policyClaims.dtypes = ["F32", "BF16"]
    return world
  }

  /// A bundle that gives the same lines and settings each time.
  private func bundle(
    _ world: TestWorld, _ lines: [String], _ change: (inout JobManifestClaims) -> Void = { _ in }
  ) throws -> [UInt8] {
    let input = Array(lines.map { $0 + "\n" }.joined().utf8)
    var claims = try world.manifest(for: input, items: lines.count)
    (claims.createdMs, claims.maximumOutputTokens, claims.seed) = (1_790_000_000_500, 12, 3)
    change(&claims)
    return try world.bundle(claims, input)
  }

  private func opened(_ file: ResultFile, _ world: TestWorld, _ seen: SeenJob) throws -> [OutputLine] {
    try world.open(file, of: seen).split(separator: UInt8(ascii: "\n")).map { try OutputLine(parsing: Array($0)) }
  }

  @Test("conversations, texts and JSON by a schema are made; a fault of one line is that line's answer")
  func job() throws {
    let world = try Self.world()
    try world.start()
    let lines = Self.lines(75)
    let seen = try world.host(try bundle(world, lines)).runJob()
    #expect(seen.code == .ok)
    let claims = try seen.claims()
    #expect(claims.outcome == .partial && claims.job?.items == 75 && claims.job?.failedItems == 30)
    #expect(claims.job?.precision == "fp32")
    let (output, errors) = (try opened(.output, world, seen), try opened(.errors, world, seen))
    #expect(output.count == 45 && errors.count == 30)
    #expect(output.map(\.customID) == (0..<75).filter { $0 % 5 < 3 }.map { "i\($0)" })
    for case .completion(let line) in output {
      #expect(line.created == 1_790_000_000 && line.model == "tiny" && line.isChat == (line.index % 5 != 2))
      if line.index % 5 == 1 {
        #expect(line.finish == .stop && line.text.contains("pages"))
      } else {
        #expect(line.outputTokens <= 12)
      }
    }
    for case .error(let line) in errors {
      #expect(line.code == (line.index % 5 == 3 ? "invalid_value" : "context_length_exceeded"))
    }
    let records = try world.items(of: seen).records
    for (record, line) in zip(records, lines) { #expect(record.input == SHA256.digest(of: line.utf8)) }
    for case .completion(let line) in output {
      let record = records[line.index]
      #expect(record.tokens == UInt64(line.promptTokens + line.outputTokens))
      #expect(record.truncated == (line.finish == .length))
    }
  }

  @Test("an item gives the same bytes in any job: alone, among others, and after another worker's start")
  func invariance() throws {
    let world = try Self.world()
    try world.start()
    let lines = Self.lines(20)
    let whole = try opened(.output, world, try world.host(try bundle(world, lines)).runJob())
    for index in [0, 1, 2, 7, 16] {
      // Its place makes the ids of its answer, so it stands there alone among faults.
      var alone = [String](repeating: "no line", count: index)
      alone.append(lines[index])
      let seen = try world.host(try bundle(world, alone)).runJob()
      let output = try opened(.output, world, seen)
      #expect(output.count == 1 && output.first == whole.first { $0.customID == "i\(index)" })
    }
    let other = try world.host(try bundle(world, lines) { $0.seed = 4 }).runJob()
    #expect(try opened(.output, world, other) != whole)
  }

  @Test("a host that cancels or goes away in the middle of a text ends it between two passes, without a receipt")
  func cancel() throws {
    let world = try Self.world()
    try world.start()
    // Texts that may take minutes: nothing but a stop ends them soon.
    let lines = (0..<400).map { Self.chat("i\($0)", "go on \($0)", #","max_tokens":900,"temperature":2"#) }
    let long = try bundle(world, lines)
    var host = world.host(long)
    host.cancelAfter = 2
    let cancelled = try host.runJob()
    #expect(cancelled.receipt == nil && cancelled.code == .retry)
    host = world.host(long)
    host.leaveAfter = 4
    #expect(try host.runJob().receipt == nil)
    // The worker is free for the next job.
    let next = try world.host(try bundle(world, Self.lines(5))).runJob()
    #expect(next.code == .ok)
  }

  @Test("lines of documents, another operation and a prompt by name are refused; a job without items is complete")
  func refusals() throws {
    let world = try Self.world()
    try world.start()
    let lines = [Self.completion("a", "x")]
    for change: (inout JobManifestClaims) -> Void in [
      { $0.inputFormat = .idText }, { $0.operation = "embed" }, { $0.prompt = "query" }, { $0.precision = "int8" },
    ] {
      #expect(try world.host(try bundle(world, lines, change)).runJob().code == .refused)
    }
    let empty = try world.host(try bundle(world, [])).runJob()
    #expect(empty.code == .ok)
    #expect(try empty.claims().outcome == .completed)
    let encoder = try TestWorld()
    try encoder.start()
    #expect(try encoder.host(try bundle(encoder, lines) { $0.operation = "generate" }).runJob().code == .refused)
    let texts = [#"{"id":"a","text":"x"}"#]
    for (maximum, code) in [(12, .refused), (nil, .ok)] as [(UInt64?, OutwardCode)] {
      let seen = try encoder.host(
        try bundle(encoder, texts) { ($0.inputFormat, $0.maximumOutputTokens) = (.idText, maximum) }
      ).runJob()
      #expect(seen.code == code)
    }
  }
}
