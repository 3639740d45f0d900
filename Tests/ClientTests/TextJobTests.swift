import Foundation
import Inference
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Client

@Suite("Documents and conversations for a model that makes texts", .serialized)
struct TextJobTests {
  private static let instruction = "Say what kind of paper this is."
  private static let schema =
    #"{"type":"object","properties":{"kind":{"enum":["memo","report"]},"pages":{"type":"integer","minimum":0,"#
    + #""maximum":9}},"required":["kind","pages"]}"#

  /// An office with such a model, and a job of it computed as the worker computes one.
  private struct Case {
    let desk: Desk
    let entry: LedgerEntry
    let origin: any InputOrigin
    let task: DocumentTask?

    init(
      _ origin: (Desk) throws -> any InputOrigin, schema: Bool = true, lines: Bool = false,
      forge: @escaping (Int, LineComputer.Result) throws -> LineComputer.Result = { $1 }
    ) throws {
      desk = try Desk(decoder: TinyDecoder())
      self.origin = try origin(desk)
      task = lines ? nil : try TextJobTests.task(desk, schema: schema)
      var request = SubmissionRequest()
      (request.task, request.maximumOutputTokens, request.seed) = (task, 200, 5)
      entry = try desk.submitter.seal(
        try desk.submitter.prepare(self.origin, request, nowMs: Desk.nowMs), nowMs: Desk.nowMs)
      try desk.submitter.upload(entry, nowMs: Desk.nowMs)
      let decoder = TinyDecoder()
      let model = try WeightsFile.withAll([("model.safetensors", decoder.weights())]) {
        try GenerationModel(files: ModelFiles(decoder.clearFiles), weights: $0, precision: .fp32)
      }
      try desk.finish(
        entry,
        .computed(
          { claims in
            try GenerationComputer(
              model: model, name: "tiny",
              settings: .init(
                seed: claims.seed, maximumTokens: claims.maximumOutputTokens.map { Int($0) },
                createdMs: claims.createdMs, limits: BatchGenerator.Limits(cacheBytes: 8 << 20))
            ).compute
          }, precision: "fp32", forge: forge))
    }

    func results() throws -> (OpenedResults, ReceiptClaims, receipt: [UInt8]) {
      let examined = try desk.examine(entry)
      let claims = try examined.verified().claims
      return (try #require(examined.results), claims, examined.bytes)
    }

    func reproduce(_ task: DocumentTask?) throws -> Reproduction {
      let (results, receipt, _) = try results()
      let reproducer = try ResultReproducer(results, receipt: receipt)
      let policy = try TrustStore(home: desk.home).policies(desk.profile).accepted(receipt.policyDigest)
      let published = try ModelCatalog(store: desk.store, policy: policy).published(results.manifest.claims.model)
      let model = try reproducer.model(published, folder: "\(desk.folder)/model", texts: [])
      return try reproducer.reproduce(origin, with: model, named: "tiny", task: task)
    }
  }

  private static func task(_ desk: Desk, schema: Bool = true) throws -> DocumentTask {
    try DocumentTask(
      instructionFile: try desk.file("instruction.txt", "\n\(instruction)\n"),
      schemaFile: schema ? try desk.file("schema.json", Self.schema) : nil, role: .system, temperature: 0)
  }

  private static func folder(_ desk: Desk) throws -> TextFolder {
    _ = try desk.file("docs/memos/river.txt", "a memo of the river <|end|>")
    _ = try desk.file("docs/bridge.txt", "a report of the \"bridge\"")
    return TextFolder(path: "\(desk.folder)/docs")
  }

  private static func lines(_ desk: Desk) throws -> JSONLFile {
    func line(_ id: String, _ url: String, _ body: String) -> String {
      #"{"custom_id":"\#(id)","method":"POST","url":"/v1/\#(url)","body":{"model":"tiny",\#(body)}}"#
    }
    return JSONLFile(
      path: try desk.file(
        "lines.jsonl",
        [
          line("a", "completions", #""prompt":"the river","max_tokens":9"#),
          line("../b", "chat/completions", #""messages":[{"role":"user","content":"x"}],"seed":2,"max_tokens":9"#),
          line("sub/c", "completions", #""prompt":"the bridge","max_tokens":9"#),
          line("sub", "completions", #""prompt":"the other","max_tokens":9"#),
        ].joined(separator: "\n")))
  }

  @Test("a folder with an instruction becomes conversations, whose manifest says seed and length")
  func documents() throws {
    let made = try Case(Self.folder)
    let bundle = try made.desk.store.getSmall(
      try ObjectKey(StoreLayout.bundle(made.entry.record.job, queue: "default")), limit: 1 << 20)
    let (manifest, input) = try made.desk.enclave.open(bundle, made.desk.policy)
    let claims = manifest.claims
    #expect(claims.operation == "generate" && claims.inputFormat == .openAI && claims.inputItems == 2)
    #expect(claims.seed == 5 && claims.maximumOutputTokens == 200)
    let items = try input.split(separator: 0x0A).map { try GenerationItem(parsing: Array($0), line: 1) }
    #expect(items.map(\.id) == ["bridge.txt", "memos/river.txt"] && items.map(\.model) == ["tiny", "tiny"])
    guard case .messages(let messages, nil) = items[0].prompt else {
      Issue.record("no conversation")
      return
    }
    #expect(
      messages == [
        ChatMessage(role: "system", content: Self.instruction),
        ChatMessage(role: "user", content: "a report of the \"bridge\""),
      ])
    #expect(items[0].sampling.temperature == 0 && items[0].sampling.maximumTokens == nil)
    guard case .jsonSchema = items[0].format else {
      Issue.record("no schema")
      return
    }
  }

  @Test("results become a file for each document, JSON by the schema, under the documents' own names")
  func texts() throws {
    let made = try Case(Self.folder)
    let (results, _, receipt) = try made.results()
    let folder = "\(made.desk.folder)/out"
    let names = try ResultsWriter(results, receipt: receipt).write(.text, to: folder, replacing: false)
    #expect(names == ["receipt.cose", "texts", "texts.jsonl"])
    for name in ["bridge.txt.json", "memos/river.txt.json"] {
      let text = try PrivateFiles.read("\(folder)/texts/\(name)")
      let object = try JSONValue(parsing: text, limits: JSONLimits(bytes: 1 << 10, values: 100)).object
      #expect(
        ["memo", "report"].contains(object?["kind"]?.string) && (0...9).contains(object?["pages"]?.integer ?? 10))
    }
    _ = try ResultsWriter(results, receipt: receipt).write(.text, to: folder, replacing: true)
    // A folder of the same name may be somebody's own.
    try PrivateFiles.write(Array("mine".utf8), to: "\(folder)/texts/memos/notes.txt")
    #expect(
      clientError { _ = try ResultsWriter(results, receipt: receipt).write(.jsonl, to: folder, replacing: true) }?.kind
        == .usage)
    #expect(PrivateFiles.exists("\(folder)/texts/memos/notes.txt"))
    PrivateFiles.remove("\(folder)/texts/memos/notes.txt")
    _ = try ResultsWriter(results, receipt: receipt).write(.jsonl, to: folder, replacing: true)
    #expect(try PrivateFiles.names(in: folder) == ["output.jsonl", "receipt.cose"])
    #expect(
      clientError { _ = try ResultsWriter(results, receipt: receipt).write(.npy, to: "\(folder)2", replacing: false) }?
        .kind == .invalid)
  }

  @Test("ids that lead out of the folder, or that another file has, get names of their own")
  func hostileIDs() throws {
    let made = try Case(Self.lines, lines: true)
    let (results, _, receipt) = try made.results()
    let folder = "\(made.desk.folder)/out"
    try ResultsWriter(results, receipt: receipt).write(.text, to: folder, replacing: false)
    let index = String(decoding: try PrivateFiles.read("\(folder)/texts.jsonl"), as: UTF8.self).split(separator: "\n")
    #expect(index.count == 4)
    for (line, name) in zip(index, ["texts/a.", "texts/item-1.", "texts/sub/c.", "texts/sub."]) {
      #expect(line.contains("\"file\":\"\(name)"), "\(line)")
    }
    #expect(try PrivateFiles.names(in: made.desk.folder).allSatisfy { !$0.hasPrefix("b") })
  }

  @Test("an auditor makes the same texts, of documents by the same instruction alone")
  func reproduce() throws {
    let made = try Case(Self.folder)
    let found = try made.reproduce(made.task)
    #expect(found.items == 2 && found.differingCount == 0)
    var other = try #require(made.task)
    other.instruction += "!"
    let error = clientError { _ = try made.reproduce(other) }
    #expect(error?.kind == .notFound && error?.remedy.contains("--instruction-role") == true)
    let (results, _, receipt) = try made.results()
    let prover = ItemProver(results, receipt: receipt)
    func prove(_ task: DocumentTask?) throws -> ItemProof {
      try prover.prove(.index(0), input: made.origin, task: task, model: "tiny", disclosingOutput: false)
    }
    // What is asked is a part of what is disclosed.
    let input = try #require(try prove(made.task).input)
    #expect(String(decoding: input, as: UTF8.self).contains(Self.instruction))
    #expect(clientError { _ = try prove(nil) }?.remedy.contains("--schema") == true)
    #expect(try Case(Self.lines, lines: true).reproduce(nil).differingCount == 0)
  }

  @Test("a text of which an enclave altered one letter is named by its item")
  func forged() throws {
    let made = try Case(Self.lines, lines: true) { index, result in
      guard index == 2, case .completion(let line) = try OutputLine(parsing: result.line) else { return result }
      let forged = OutputLine.CompletionLine(
        index: 2, customID: line.customID, model: line.model, isChat: line.isChat, text: line.text + "x",
        finish: line.finish, promptTokens: line.promptTokens, outputTokens: line.outputTokens, created: line.created)
      return .init(isComputed: true, line: forged.encoded(), tokens: result.tokens, truncated: result.truncated)
    }
    let found = try made.reproduce(nil)
    #expect(found.differingCount == 1 && found.differences.first?.id == "sub/c")
    #expect(found.differences.first?.what.hasPrefix("another text from byte ") == true)
  }

  @Test("what a model cannot be asked is refused before anything is sealed")
  func refusals() throws {
    let desk = try Desk(decoder: TinyDecoder())
    let folder = try Self.folder(desk)
    func refusal(_ origin: any InputOrigin, _ change: (inout SubmissionRequest) -> Void = { _ in }) -> ClientError? {
      var request = SubmissionRequest()
      change(&request)
      return clientError { _ = try desk.submitter.prepare(origin, request, nowMs: Desk.nowMs) }
    }
    #expect(refusal(folder)?.remedy == "pass --instruction FILE")
    #expect(refusal(folder) { $0.operation = .embed }?.kind == .rejected, "the policy allows generate alone")
    #expect(refusal(try Self.lines(desk)) { $0.task = DocumentTask(instruction: "x") }?.kind == .input)
    #expect(refusal(folder) { ($0.task, $0.prompt) = (DocumentTask(instruction: "x"), "query") }?.kind == .usage)
    var found: InputSurvey?
    _ = try desk.file("docs/long.txt", String(repeating: "far too long ", count: 400))
    var request = SubmissionRequest()
    request.task = try Self.task(desk)
    #expect(
      clientError { _ = try desk.submitter.prepare(folder, request, nowMs: Desk.nowMs, report: { found = $0 }) }?.kind
        == .input)
    #expect(found?.problems.map { "\($0.place) \($0.code)" } == ["file long.txt context_length_exceeded"])
    let encoder = try Desk()
    let error = clientError {
      _ = try encoder.submit(["x"]) { $0.task = DocumentTask(instruction: "x") }
    }
    #expect(error?.kind == .usage && error?.reason.contains("follows no instruction") == true)
    #expect(clientError { _ = try encoder.submit(["x"]) { $0.maximumOutputTokens = 9 } }?.kind == .usage)
  }

  @Test("a schema that cannot be held to, and a file without text, are refused with their names")
  func taskFiles() throws {
    let desk = try Desk()
    func refusal(_ instruction: String, _ schema: String?) -> ClientError? {
      clientError {
        _ = try DocumentTask(
          instructionFile: try desk.file("i.txt", instruction),
          schemaFile: try schema.map { try desk.file("s.json", $0) },
          role: .system, temperature: 0)
      }
    }
    #expect(refusal("do", Self.schema) == nil)
    #expect(refusal(" \n", nil)?.kind == .input)
    #expect(refusal(String(repeating: "do ", count: 30_000), nil)?.kind == .input)
    #expect(
      clientError {
        _ = try DocumentTask(instructionFile: desk.folder, schemaFile: nil, role: .system, temperature: 0)
      }?.kind == .input)
    #expect(refusal("do", "{")?.kind == .input)
    let pattern = refusal("do", #"{"type":"string","pattern":"a+"}"#)
    #expect(pattern?.kind == .input && pattern?.reason.contains("pattern") == true)
    #expect(
      clientError {
        _ = try DocumentTask(instructionFile: "/nowhere", schemaFile: nil, role: .system, temperature: 0)
      }?.kind == .notFound)
  }

  @Test("a sync sends documents as conversations, once, and names those that are too long each night")
  func sync() throws {
    let desk = try Desk(decoder: TinyDecoder())
    _ = try Self.folder(desk)
    _ = try desk.file("docs/long.txt", String(repeating: "far too long ", count: 400))
    var submission = SubmissionRequest()
    submission.queue = "nightly"
    let syncer = Syncer(home: desk.home, profile: desk.profile, store: desk.store)
    #expect(
      clientError {
        _ = try syncer.run(SyncRequest(folder: "\(desk.folder)/docs", submission: submission), nowMs: Desk.nowMs)
      }?.kind == .usage)
    submission.task = try Self.task(desk)
    let request = SyncRequest(folder: "\(desk.folder)/docs", submission: submission)
    let first = try syncer.run(request, nowMs: Desk.nowMs)
    #expect(first.count(.new) == 2 && first.count(.refused) == 1 && first.jobs.first?.record.inputItems == 2)
    let second = try syncer.run(request, nowMs: Desk.nowMs)
    #expect(second.unchanged == 2 && second.count(.refused) == 1 && second.jobs.first?.record.inputItems == 0)
  }
}
