import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// Models with heads through the real worker, and an auditor who computes jobs again.
  @Suite("Scores, labels, and jobs computed again")
  struct Reproduction {
    let office: Office
    init() throws { office = try Office.open() }

    private func write(_ name: String, _ lines: [String]) throws -> String {
      try office.theatre.write(name, lines.joined(separator: "\n") + "\n")
      return office.theatre.path(name)
    }

    /// The lines of a job's results.
    private func results(_ job: String) throws -> [[String: Any]] {
      let folder = office.newFolder()
      let got = try office.ephemeral(["results", "get", job, "--output", folder])
      guard got.status == 0 else { throw TheatreError("results: \(got.errors)") }
      return try String(contentsOfFile: folder + "/output.jsonl", encoding: .utf8).split(separator: "\n").map { line in
        let whole = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        let body = (whole?["response"] as? [String: Any])?["body"] as? [String: Any]
        return try #require((body?["data"] as? [[String: Any]])?.first)
      }
    }

    private func reproduce(
      _ job: String, _ input: String, _ folder: String, _ more: [String] = [], environment: [String: String] = [:]
    ) throws -> Theatre.Finished {
      try office.ephemeral(
        ["receipts", "reproduce", job, "--input", input, "--model-folder", office.theatre.path(folder)] + more,
        environment: environment)
    }

    private static let pairs = [
      #"{"id":"q0-p0","text":"the bridge","text_pair":"a report of the bridge."}"#,
      #"{"id":"q0-p1","text":"the bridge","text_pair":"a memo"}"#,
      #"{"id":"q1-p0","text":"river","text_pair":"a note of the river."}"#,
    ]

    @Test("A cross-encoder scores pairs in the enclave, and an auditor gets the same scores on any instruction set")
    func score() throws {
      let pairs = try write("pairs.jsonl", Self.pairs)
      let job = try office.submit([
        pairs, "--model", "reranker", "--operation", "score", "--precision", "int8",
      ])
      #expect(try office.watch(job).status == 0)
      let lines = try results(job)
      #expect(lines.count == 3 && lines.allSatisfy { $0["object"] as? String == "score" })
      let scores = lines.compactMap { $0["score"] as? Double }
      #expect(Set(scores).count == 3 && scores.allSatisfy { (0...1).contains($0) })
      for kernel in ["portable", "avx2", ""] {
        let again = try reproduce(job, pairs, "reranker", environment: ["EPHEMERALML_KERNEL": kernel])
        #expect(again.status == 0, "\(kernel): \(again.errors)")
        #expect(again.output.contains("reproduced: all 3 items in int8"))
      }
      let refused = try office.ephemeral(["submit", pairs, "--model", "reranker", "--operation", "classify"])
      #expect(refused.status != 0 && refused.output.isEmpty)
    }

    @Test("A classifier labels texts and pairs, and an auditor gets the same labels")
    func classify() throws {
      let texts = try write("labelled.jsonl", [#"{"id":"t","text":"a memo of the river"}"#] + Self.pairs)
      let job = try office.submit([texts, "--model", "classifier", "--operation", "classify", "--precision", "auto"])
      #expect(try office.watch(job).status == 0)
      let lines = try results(job)
      #expect(lines.count == 4)
      for line in lines {
        let scores = try #require(line["scores"] as? [[String: Any]])
        #expect(scores.compactMap { $0["label"] as? String } == ["report", "memo", "note"])
        #expect(abs(scores.compactMap { $0["score"] as? Double }.reduce(0, +) - 1) < 1e-5)
        let best = scores.max { ($0["score"] as? Double ?? 0) < ($1["score"] as? Double ?? 0) }
        #expect(line["label"] as? String == best?["label"] as? String)
      }
      let again = try reproduce(job, texts, "classifier", ["--json"])
      #expect(again.status == 0, "\(again.errors)")
      #expect(again.output.contains(#""reproduced":true"#) && again.output.contains(#""items":4"#))
    }

    @Test(
      "A job is computed again in each precision; another folder ends in 1, another input in 10, altered results in 21")
    func embeddings() throws {
      let documents = try office.documents(70, named: "again")
      for precision in ["fp32", "bf16", "int8"] {
        let job = try office.submit([documents, "--precision", precision])
        #expect(try office.watch(job).status == 0)
        let again = try reproduce(job, documents, "tiny")
        #expect(again.status == 0, "\(again.errors)")
        #expect(again.output.contains("reproduced: all 70 items in \(precision)"))
        guard precision == "fp32" else { continue }
        #expect(try reproduce(job, documents, "reranker").status == 1)
        let other = try reproduce(job, try office.documents(69, named: "fewer"), "tiny")
        #expect(other.status == 10 && other.errors.contains("item 69 (doc-69)"), "\(other.errors)")
        #expect(try reproduce("ffffffff", documents, "tiny").status == 10)
        let results = URL(filePath: "\(office.storeFolder)/jobs/\(job)/attempts/1/output.jsonl.age")
        let honest = try Data(contentsOf: results)
        var forged = honest
        forged[forged.count / 2] ^= 1
        try forged.write(to: results)
        let altered = try reproduce(job, documents, "tiny")
        #expect(altered.status == 21 && !altered.output.contains("reproduced"), "\(altered.errors)")
        try honest.write(to: results)
      }
    }
  }
}
