import Foundation
import Inference
import SealedCrypto
import TestSupport
import Testing
import Wire

@testable import Client
@testable import JobRunner

@Suite("A job computed again by an auditor", .serialized)
struct ReproductionTests {
  private static let texts = ["the report of the river.", "a memo", "fail", "bridges", ""]

  /// A job whose enclave computes with a model as the worker does, and says so.
  private struct Case {
    let desk: Desk
    let entry: LedgerEntry
    let input: JSONLFile

    /// - Parameters:
    ///   - tiny: the published model; the enclave computes with it unless `with` is given.
    ///   - said: the precision that the receipt names, and the enclave computes in unless `in` is given.
    ///   - name: what the lines call the model.
    ///   - forge: what the enclave does to an item's result before it binds it.
    init(
      _ tiny: TinyModel = TinyModel(words: TinyModel.office, seed: 1), lines: [String]? = nil, said: Precision = .fp32,
      in precision: Precision? = nil, with other: TinyModel? = nil, named name: String = "tiny",
      encoding: String = "base64",
      forge: @escaping (Int, LineComputer.Result) throws -> LineComputer.Result = { $1 }
    ) throws {
      let operation = tiny.labels.isEmpty ? ModelOperation.embed : tiny.labels.count == 1 ? .score : .classify
      desk = try Desk(tiny: tiny, operation: operation.rawValue)
      let lines = lines ?? ReproductionTests.texts.enumerated().map { #"{"id":"d\#($0)","text":"\#($1)"}"# }
      input = JSONLFile(path: try desk.file("input.jsonl", lines.joined(separator: "\n") + "\n"))
      var request = SubmissionRequest()
      (request.operation, request.precision, request.encoding) = (operation, said.rawValue, encoding)
      entry = try desk.submitter.seal(
        try desk.submitter.prepare(input, request, nowMs: Desk.nowMs), nowMs: Desk.nowMs)
      try desk.submitter.upload(entry, nowMs: Desk.nowMs)
      let model = try Self.load(other ?? tiny, desk, precision ?? said)
      try desk.finish(
        entry,
        .computed(
          {
            LineComputer(
              model: model, name: name, format: .idText, writesFloats: $0.encoding == "float", prompt: $0.prompt
            ).compute
          }, precision: said.rawValue, forge: forge))
    }

    /// As the worker loads it: int8 with the scales that were published.
    private static func load(_ tiny: TinyModel, _ desk: Desk, _ precision: Precision) throws -> EmbeddingModel {
      try tiny.weights().withUnsafeBytes {
        var files = tiny.clearFiles
        let weights = [WeightsFile(bytes: $0)]
        if precision == .int8 {
          files["int8.scales"] = try Calibrator(files: ModelFiles(files), weights: weights)
            .scales(CalibrationTexts.calibration).encoded()
        }
        return try EmbeddingModel(files: ModelFiles(files), weights: weights, precision: precision)
      }
    }

    func reproduce(_ input: (any InputOrigin)? = nil, folder: String? = nil) throws -> Reproduction {
      let examined = try desk.examine(entry)
      let receipt = try examined.verified().claims
      let results = try #require(examined.results)
      let reproducer = try ResultReproducer(results, receipt: receipt)
      let policy = try TrustStore(home: desk.home).policies(desk.profile).accepted(receipt.policyDigest)
      let published = try ModelCatalog(store: desk.store, policy: policy).published(results.manifest.claims.model)
      let model = try reproducer.model(published, folder: folder ?? "\(desk.folder)/model", texts: [])
      return try reproducer.reproduce(input ?? self.input, with: model, named: published.claims.name)
    }
  }

  @Test("every precision gives the receipt's digests again", arguments: Precision.allCases)
  func precisions(_ precision: Precision) throws {
    let found = try Case(said: precision, encoding: precision == .fp32 ? "float" : "base64").reproduce()
    #expect(found.items == 5 && found.differingCount == 0 && found.precision == precision)
  }

  @Test(
    "classifications and scores too, with the items that failed", arguments: [["relevance"], ["yes", "no", "perhaps"]])
  func heads(_ labels: [String]) throws {
    let lines = [
      #"{"id":"1","text":"the bridge","text_pair":"a report of the river."}"#,
      #"{"id":"2","text":"memo","text_pair":"note"}"#, #"{"id":"3","text":"river","text_pair":""}"#,
    ]
    let found = try Case(TinyModel(words: TinyModel.office, seed: 4, labels: labels), lines: lines, said: .int8)
      .reproduce()
    #expect(found.items == 3 && found.differingCount == 0)
  }

  @Test("an enclave that computed in another precision than its receipt says is found out, line by line")
  func otherPrecision() throws {
    let found = try Case(said: .fp32, in: .bf16).reproduce()
    #expect(found.differingCount == 5 && found.differences.map(\.index) == [0, 1, 2, 3, 4])
    #expect(found.differences.map(\.id) == ["d0", "d1", "d2", "d3", "d4"])
    #expect(found.differences.allSatisfy { $0.what.hasPrefix("its numbers differ by up to 0.0") }, "\(found)")
  }

  @Test("one that computed with other weights, or put another model's name into the lines, is found out")
  func otherModel() throws {
    #expect(try Case(with: TinyModel(words: TinyModel.office, seed: 2)).reproduce().differingCount == 5)
    let named = try Case(named: "large").reproduce()
    #expect(named.differingCount == 5 && named.differences[0].what == "another line of the same numbers")
  }

  @Test(
    "one bit of one number that an enclave altered is named by its item, and so is an item that it only said failed")
  func altered() throws {
    let bit = try Case { index, result in
      guard index == 3, case .embedding(let line) = try OutputLine(parsing: result.line) else { return result }
      var numbers = line.embedding
      numbers[7] = numbers[7].nextUp
      let forged = OutputLine.EmbeddingLine(
        index: 3, customID: line.customID, model: line.model, embedding: numbers, tokens: line.tokens,
        truncated: line.truncated)
      var result = result
      result.line = forged.encoded(.base64)
      return result
    }.reproduce()
    #expect(bit.differingCount == 1 && bit.differences.map(\.id) == ["d3"] && bit.differences[0].index == 3)

    let failed = try Case { index, result in
      guard index == 1 else { return result }
      let error = OutputLine.ErrorLine(index: 1, customID: "d1", code: "not_computed", message: "no")
      return LineComputer.Result(isComputed: false, line: error.encoded(), tokens: 0, truncated: false)
    }.reproduce()
    #expect(failed.differences == [.init(index: 1, id: "d1", what: "can be computed, and the receipt binds an error")])
  }

  @Test("what the host alters afterwards, and another job's receipt, fail before anything is computed")
  func host() throws {
    let (one, two) = (try Case(), try Case(lines: [#"{"id":"z","text":"note"}"#]))
    let results = "\(one.desk.folder)/store/jobs/\(one.entry.record.job.hex)/attempts/1"
    let honest = try Data(contentsOf: URL(filePath: results + "/output.jsonl.age"))
    var forged = honest
    forged[forged.count / 2] ^= 1
    try forged.write(to: URL(filePath: results + "/output.jsonl.age"))
    #expect(clientError { _ = try one.reproduce() }?.kind == .invalid)
    try honest.write(to: URL(filePath: results + "/output.jsonl.age"))
    #expect(try one.reproduce().differingCount == 0)

    let other = "\(two.desk.folder)/store/jobs/\(two.entry.record.job.hex)/attempts/1/receipt.cose"
    try Data(contentsOf: URL(filePath: other)).write(to: URL(filePath: results + "/receipt.cose"))
    #expect(clientError { _ = try one.reproduce() }?.kind == .invalid)
  }

  @Test("another folder than the published one is refused by the file that differs, a missing file by its name")
  func folder() throws {
    let one = try Case()
    let other = "\(one.desk.folder)/other"
    try TinyModel(words: TinyModel.office, seed: 2).write(to: other)
    let error = clientError { _ = try one.reproduce(folder: other) }
    #expect(error?.kind == .input && error?.reason.hasPrefix("model.safetensors is not") == true)
    try TinyModel(words: TinyModel.letters, seed: 1).write(to: other)
    #expect(clientError { _ = try one.reproduce(folder: other) }?.reason.hasPrefix("tokenizer.json is not") == true)
    try FileManager.default.removeItem(atPath: other + "/config.json")
    #expect(clientError { _ = try one.reproduce(folder: other) }?.kind == .notFound)
  }

  @Test("an input that lacks an item is refused by the item's name; lines that were never sealed are passed over")
  func input() throws {
    let one = try Case()
    let lines = Self.texts.enumerated().map { #"{"id":"d\#($0)","text":"\#($1)"}"# }
    let more = try one.desk.file(
      "more.jsonl", (["not json"] + lines + [#"{"id":"late","text":"memo"}"#]).joined(separator: "\r\n"))
    #expect(try one.reproduce(JSONLFile(path: more)).differingCount == 0)
    let less = try one.desk.file("less.jsonl", (lines[..<3] + lines[4...]).joined(separator: "\n"))
    let error = clientError { _ = try one.reproduce(JSONLFile(path: less)) }
    #expect(error?.kind == .notFound && error?.reason.contains("item 3 (d3)") == true, "\(error?.reason ?? "")")
  }

  @Test("a folder of documents is computed again, each under its path")
  func documents() throws {
    let desk = try Desk()
    for (name, text) in [("a.txt", "the report"), ("sub/b.txt", "a memo"), ("z.txt", "note.")] {
      _ = try desk.file("documents/\(name)", text)
    }
    let folder = TextFolder(path: "\(desk.folder)/documents")
    let entry = try desk.submitter.seal(
      try desk.submitter.prepare(folder, SubmissionRequest(), nowMs: Desk.nowMs), nowMs: Desk.nowMs)
    try desk.submitter.upload(entry, nowMs: Desk.nowMs)
    let model = try EmbeddingModel.load(
      files: ModelFiles(TinyModel(words: TinyModel.office, seed: 1).clearFiles),
      weights: TinyModel(words: TinyModel.office, seed: 1).weights())
    try desk.finish(
      entry,
      .computed(
        { _ in LineComputer(model: model, name: "tiny", format: .idText, writesFloats: false, prompt: nil).compute },
        precision: "fp32"))
    let examined = try desk.examine(entry)
    let reproducer = try ResultReproducer(
      try #require(examined.results), receipt: try examined.verified().claims)
    let found = try reproducer.reproduce(folder, with: .encoder(model), named: "tiny")
    #expect(found.items == 3 && found.differingCount == 0)
  }

  @Test("an empty night has nothing to compute again, and is no failure")
  func empty() throws {
    let desk = try Desk()
    let entry = try desk.submit([]) { $0.allowEmpty = true }
    try desk.finish(entry)
    let examined = try desk.examine(entry)
    let reproducer = try ResultReproducer(
      try #require(examined.results), receipt: try examined.verified().claims)
    #expect(reproducer.precision == .fp32)
  }

  @Test("the command ends in the documented error where a line differs, and in none where all are the same")
  func command() throws {
    for (precision, kind) in [(Precision.fp32, ClientError.Kind?.none), (.bf16, .invalid)] {
      let one = try Case(in: precision)
      let command = try ReceiptsCommand.Reproduce.parse([
        one.entry.record.job.hex, "--home", one.desk.home.path, "--store", "file://\(one.desk.folder)/store",
        "--profile", "dev", "--input", one.input.name, "--model-folder", "\(one.desk.folder)/model",
      ])
      let error = clientError { try command.run() }
      #expect(error?.kind == kind, "\(error?.description ?? "none")")
      if kind != nil { #expect(error?.reason.hasPrefix("5 of 5 items come out otherwise") == true) }
    }
  }
}
