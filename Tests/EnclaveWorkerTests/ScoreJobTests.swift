import Inference
import Testing

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// Jobs of models with a classification head.
@Suite(.serialized)
struct ScoreJobTests {
  private static let pairs = [
    #"{"id":"1","text":"a b","text_pair":"c d e"}"#, #"{"id":"2","text":"a b"}"#,
    #"{"id":"3","text":"","text_pair":""}"#,
    #"{"custom_id":"4","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"a"}}"#,
  ]

  private func run(_ world: TestWorld, _ lines: [String], _ change: (inout JobManifestClaims) -> Void = { _ in }) throws
    -> (seen: SeenJob, output: [OutputLine], errors: [OutputLine])
  {
    let input = Array(lines.map { $0 + "\n" }.joined().utf8)
    var claims = try world.manifest(for: input, items: lines.count)
    change(&claims)
    let seen = try world.host(try world.bundle(claims, input)).runJob()
    func opened(_ file: ResultFile) throws -> [OutputLine] {
      try world.open(file, of: seen).split(separator: UInt8(ascii: "\n")).map { try OutputLine(parsing: Array($0)) }
    }
    return (seen, try opened(.output), try opened(.errors))
  }

  @Test("a classification gives each label a score, of texts and of pairs, and names the highest")
  func classify() throws {
    let world = try TestWorld(labels: ["yes", "no", "may be"])
    try world.start()
    let (seen, output, errors) = try run(world, Array(Self.pairs.prefix(3)))
    #expect(seen.code == .ok && errors.isEmpty && output.count == 3)
    for case .scores(let line) in output {
      #expect(line.isClassification && line.scores.map(\.label) == ["yes", "no", "may be"])
      #expect(abs(line.scores.reduce(0) { $0 + $1.score } - 1) < 1e-5)
    }
    guard case .scores(let pair) = output[0], case .scores(let single) = output[1] else {
      Issue.record("no scores"); return
    }
    #expect(pair.tokens == 8 && single.tokens == 4 && pair.scores != single.scores)
  }

  @Test("a score is of a pair: a line without one, and one of another form, fail alone")
  func score() throws {
    let world = try TestWorld(labels: ["relevance"])
    try world.start()
    let (seen, output, errors) = try run(world, Array(Self.pairs.prefix(3)))
    #expect(seen.code == .ok && output.count == 2)
    for case .scores(let line) in output {
      #expect(!line.isClassification && line.scores.count == 1 && (0...1).contains(line.scores[0].score))
    }
    guard case .error(let error) = errors.first else { Issue.record("no error"); return }
    #expect(errors.count == 1 && error.code == "missing_parameter" && error.customID == "2")
  }

  @Test("a pair has no embedding, and an OpenAI line no score")
  func mismatches() throws {
    let world = try TestWorld()
    try world.start()
    let (_, _, errors) = try run(world, Array(Self.pairs.prefix(1)))
    guard case .error(let error) = errors.first else { Issue.record("no error"); return }
    #expect(error.code == "unsupported_input")
    let scorer = try TestWorld(labels: ["relevance"])
    try scorer.start()
    let refused = try run(scorer, [Self.pairs[3]]) { $0.inputFormat = .openAI }
    guard case .error(let error) = refused.errors.first else { Issue.record("no error"); return }
    #expect(error.code == "unsupported_url")
  }

  @Test("an operation that the model does not compute is refused, and so is a prompt that it does not have")
  func refusals() throws {
    let world = try TestWorld(labels: ["yes", "no"])
    try world.start()
    for operation in ["embed", "score", "classification"] {
      #expect(try run(world, [Self.pairs[1]]) { $0.operation = operation }.seen.code == .refused)
    }
    #expect(try run(world, [Self.pairs[1]]) { $0.prompt = "passage" }.seen.code == .refused)
    let lying = try TestWorld()
    try lying.republish { $0.operations = ["embed", "classify"] }
    try lying.start()
    #expect(try run(lying, [Self.pairs[1]]).seen.code == .failed)
  }

  @Test("a prompt stands before the text, as if it had been written there")
  func prompt() throws {
    let world = try TestWorld()
    try world.start()
    let asked = try run(world, [#"{"id":"1","text":"c"}"#]) { $0.prompt = "query" }
    let written = try run(world, [#"{"id":"1","text":"a b c"}"#])
    let plain = try run(world, [#"{"id":"1","text":"c"}"#])
    #expect(asked.output == written.output && asked.output != plain.output)
  }
}
