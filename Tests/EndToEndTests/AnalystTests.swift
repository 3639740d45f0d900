import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// Submit, watch, fetch, verify; and what a command says when something is wrong.
  @Suite("The analyst's commands")
  struct AnalystCommands {
    let office: Office
    init() throws { office = try Office.open() }

    /// Every line of standard output as JSON objects.
    private func json(_ text: String) throws -> [[String: Any]] {
      try text.split(separator: "\n").map { line in
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
      }
    }

    @Test("A batch goes from documents to verified results, and the job's name is the bundle's digest")
    func wholeWay() throws {
      let job = try office.submit([try office.documents(20, named: "whole")])
      #expect(office.objects(under: "inbox/default").contains("\(job).age"))
      let watched = try office.watch(job)
      #expect(watched.status == 0, "\(watched.errors)")
      let folder = office.newFolder()
      let got = try office.ephemeral(["results", "get", job, "--output", folder])
      #expect(got.status == 0, "\(got.errors)")
      #expect(got.output.contains("receipt verified: completed, 20 items, 0 failed"))
      #expect(got.errors.contains("DEVELOPMENT"), "every screen of another class than production says so")
      let lines = try String(contentsOfFile: folder + "/output.jsonl", encoding: .utf8).split(separator: "\n")
      #expect(lines.count == 20)
      let first = try json(String(lines[0]))[0]
      #expect(first["custom_id"] as? String == "doc-0")

      let npy = office.newFolder()
      #expect(try office.ephemeral(["results", "get", job, "--format", "npy", "--output", npy]).status == 0)
      let array = try Data(contentsOf: URL(filePath: npy + "/embeddings.npy"))
      #expect(array.starts(with: [0x93] + Array("NUMPY".utf8)))
      #expect(array.count >= 20 * 32 * 4)

      let verified = try office.ephemeral(["receipts", "verify", job])
      #expect(verified.status == 0)
      #expect(verified.output.split(separator: "\n").last?.hasPrefix("receipt verified") == true)
    }

    @Test(
      "The stock age program opens a result with the user's identity file",
      .enabled(if: Need.age.isMet, "\(Need.age.comment)"))
    func stockAge() throws {
      let age = try Need.age.require()
      let job = try office.submit([try office.documents(5, named: "age")])
      #expect(try office.watch(job).status == 0)
      let folder = office.newFolder()
      #expect(try office.ephemeral(["results", "get", job, "--output", folder]).status == 0)
      let sealed = "\(office.storeFolder)/jobs/\(job)/attempts/1/output.jsonl.age"
      let opened = try office.theatre.run(
        age, ["-d", "-i", office.theatre.path("analyst/keys/identity.txt"), sealed])
      #expect(opened.status == 0, "\(opened.errors)")
      // The enclave pads the last line with spaces before its newline; nothing else differs.
      let ours = try String(contentsOfFile: folder + "/output.jsonl", encoding: .utf8)
      let trimmed = opened.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(trimmed == ours.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) })
    }

    @Test(
      "The real model gives near neighbours that a reader would choose",
      .enabled(if: Need.model.isMet, "\(Need.model.comment)"))
    func realModel() throws {
      let model = try #require(office.real)
      let texts = [
        "The river flooded the lower town.", "Heavy rain made the stream burst its banks.",
        "Invoices are due in thirty days.",
      ]
      let lines = texts.enumerated().map { #"{"id":"t\#($0)","text":"\#($1)"}"# }
      try office.theatre.write("real.jsonl", lines.joined(separator: "\n") + "\n")
      let job = try office.submit([office.theatre.path("real.jsonl"), "--model", model])
      #expect(try office.watch(job).status == 0)
      let folder = office.newFolder()
      #expect(try office.ephemeral(["results", "get", job, "--output", folder]).status == 0)
      let near = try office.ephemeral(["results", "neighbours", folder, "--id", "t0", "--count", "1", "--json"])
      #expect(near.status == 0, "\(near.errors)")
      #expect(near.output.contains("t1") && !near.output.contains("t2"))
    }

    @Test("With --json standard output is one JSON object a line, of every command")
    func jsonOutput() throws {
      let submitted = try office.ephemeral(["submit", try office.documents(3, named: "json"), "--wait", "--json"])
      #expect(submitted.status == 0, "\(submitted.errors)")
      let events = try json(submitted.output)
      let job = try #require(
        events.compactMap { $0["event"] as? String == "submitted" ? $0["job"] as? String : nil }.first)
      #expect(events.contains { $0["evidence_class"] as? String == "development" })
      let folder = office.newFolder()
      for command in [
        ["list"], ["status", job], ["watch", job], ["receipts", "verify", job],
        ["results", "get", job, "--output", folder],
        ["models", "list"], ["policy", "show"], ["keys", "list"], ["trust", "list"], ["trust", "show"],
      ] {
        let finished = try office.ephemeral(command + ["--json"])
        #expect(finished.status == 0, "\(command): \(finished.errors)")
        #expect(try !json(finished.output).isEmpty, "\(command)")
      }
      let verdict = try json(try office.ephemeral(["receipts", "verify", job, "--json"]).output)
      #expect(verdict.contains { $0["verified"] as? Bool == true })
    }

    @Test(
      "Nothing is uploaded when a line is wrong, each error names its line, and --skip-invalid sends the rest with exit 3"
    )
    func invalidInput() throws {
      let lines = [
        #"{"id":"a","text":"a report"}"#, #"{"id":"b"}"#, "not json", #"{"id":"a","text":"twice"}"#,
        #"{"id":"c","text":"a memo"}"#,
      ]
      try office.theatre.write("wrong.jsonl", lines.joined(separator: "\n") + "\n")
      let path = office.theatre.path("wrong.jsonl")
      let before = office.objects(under: "inbox")
      let refused = try office.ephemeral(["submit", path])
      #expect(refused.status == 1, "\(refused.errors)")
      for line in 2...4 { #expect(refused.errors.contains("line \(line)"), "line \(line) in: \(refused.errors)") }
      #expect(refused.output.isEmpty)
      let dry = try office.ephemeral(["submit", path, "--dry-run", "--skip-invalid"])
      #expect(dry.status == 3)
      #expect(office.objects(under: "inbox") == before, "nothing was uploaded")

      let partial = try office.ephemeral(["submit", path, "--skip-invalid"])
      #expect(partial.status == 3, "\(partial.errors)")
      let job = String(partial.output.split(separator: "\n").first ?? "")
      #expect(try office.watch(job).status == 0)
      let folder = office.newFolder()
      #expect(try office.ephemeral(["results", "get", job, "--output", folder]).status == 0)
      let ids = try json(try String(contentsOfFile: folder + "/output.jsonl", encoding: .utf8)).map {
        $0["custom_id"] as? String
      }
      #expect(ids == ["a", "c"])
    }

    @Test(
      "Exit codes: 10 for an unknown job, 64 for wrong usage, 6 for a wait that was too short, 5 before there is a receipt"
    )
    func exitCodes() throws {
      #expect(try office.ephemeral(["status", "00000000"]).status == 10)
      #expect(try office.ephemeral(["results", "get", "ffffffff", "--output", office.newFolder()]).status == 10)
      #expect(try office.ephemeral(["submit", "--no-such-flag"]).status == 64)
      #expect(try office.ephemeral(["no-such-verb"]).status == 64)
      #expect(try office.ephemeral(["status", "zz"]).status == 64)
      #expect(try office.operate(["queue", "pause", "default"]).status == 0)
      defer { _ = try? office.operate(["queue", "resume", "default"]) }
      let job = try office.submit([try office.documents(1, named: "waits")])
      #expect(try office.watch(job, seconds: 1).status == 6)
      #expect(try office.ephemeral(["results", "get", job, "--output", office.newFolder()]).status == 5)
      #expect(try office.operate(["queue", "resume", "default"]).status == 0)
      #expect(try office.watch(job).status == 0)
      #expect(try office.ephemeral(["--help"]).status == 0)
    }

    @Test(
      "Tampering with a result, a receipt, a commit or the policy ends in 21 or 20, names who mends it, and writes nothing"
    )
    func tampering() throws {
      let job = try office.submit([try office.documents(4, named: "tamper")])
      #expect(try office.watch(job).status == 0)
      let attempt = "\(office.storeFolder)/jobs/\(job)/attempts/1"
      let cases: [(String, Int32)] = [
        ("\(attempt)/output.jsonl.age", 21), ("\(attempt)/items.cbor.age", 21), ("\(attempt)/errors.jsonl.age", 21),
        ("\(attempt)/receipt.cose", 21),
      ]
      for (path, code) in cases {
        let honest = try Data(contentsOf: URL(filePath: path))
        var forged = honest
        forged[forged.count / 2] ^= 1
        try forged.write(to: URL(filePath: path))
        let folder = office.newFolder()
        let got = try office.ephemeral(["results", "get", job, "--output", folder])
        #expect(got.status == code, "\(path): \(got.errors)")
        #expect(got.errors.contains("the host's operator"), "\(path): \(got.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder), "\(path)")
        #expect(try office.ephemeral(["receipts", "verify", job]).status == code, "\(path)")
        try honest.write(to: URL(filePath: path))
      }
      let receipt = office.theatre.path("tampered.receipt")
      var bytes = try Data(contentsOf: URL(filePath: "\(attempt)/receipt.cose"))
      try bytes.write(to: URL(filePath: receipt))
      #expect(try office.ephemeral(["receipts", "verify", receipt]).status == 0)
      bytes[bytes.count - 1] ^= 1
      try bytes.write(to: URL(filePath: receipt))
      #expect(try office.ephemeral(["receipts", "verify", receipt]).status == 21)

      let policy = "\(office.storeFolder)/policy/current.cose"
      let honest = try Data(contentsOf: URL(filePath: policy))
      defer { try? honest.write(to: URL(filePath: policy)) }
      var forged = honest
      forged[forged.count / 2] ^= 1
      try forged.write(to: URL(filePath: policy))
      let before = office.objects(under: "inbox")
      let refused = try office.ephemeral(["submit", try office.documents(1, named: "policy")])
      #expect(refused.status == 20, "\(refused.errors)")
      #expect(refused.errors.contains("the host's operator"))
      #expect(office.objects(under: "inbox") == before)
    }

    @Test("The host sees no plaintext: neither store, queue, logs nor the programs' arguments hold a document's words")
    func nothingInClear() throws {
      let word = "quetzalcoatl-\(UUID().uuidString)"
      try office.theatre.write("secret.jsonl", #"{"id":"id-\#(word)","text":"the \#(word) report"}"# + "\n")
      let job = try office.submit([office.theatre.path("secret.jsonl")])
      #expect(try office.watch(job).status == 0)
      for place in ["store", "host", "logs"] {
        let found = try office.theatre.run(
          URL(filePath: "/bin/grep"), ["-r", "-l", "-i", word, office.theatre.path(place)])
        #expect(found.output.isEmpty && found.status == 1, "\(place): \(found.output)")
      }
    }

    @Test("Submitting the same thing under one idempotency key is one job")
    func idempotency() throws {
      let path = try office.documents(2, named: "once")
      let first = try office.submit([path, "--idempotency-key", "night-17"])
      #expect(try office.submit([path, "--idempotency-key", "night-17"]) == first)
      #expect(try office.submit([path]) != first)
      #expect(try office.watch(first).status == 0)
    }

    @Test("A cancelled job ends without results, and says so")
    func cancel() throws {
      #expect(try office.operate(["queue", "pause", "default"]).status == 0)
      let job = try office.submit([try office.documents(1, named: "cancelled")])
      #expect(try office.ephemeral(["cancel", job]).status == 0)
      let limit = Date(timeIntervalSinceNow: 120)
      var state = ""
      while Date() < limit, state != "cancelled" {
        let status = try json(try office.ephemeral(["status", job, "--json"]).output)
        state = status.first?["host_says"] as? String ?? ""
        usleep(100_000)
      }
      #expect(state == "cancelled")
      #expect(try office.operate(["queue", "resume", "default"]).status == 0)
      #expect(try office.ephemeral(["results", "get", job, "--output", office.newFolder()]).status != 0)
    }

    @Test(
      "setup hands out the public part of the keys even when the store does not answer, and says so by its exit code")
    func setupWithoutStore() throws {
      let home = office.newFolder()
      let result = try office.theatre.run(
        office.theatre.ephemeral,
        ["setup", "--home", home, "--store", "file://\(office.theatre.path("no-such-store"))"],
        environment: ["HOME": home])
      #expect(result.status == 10, "\(result.errors)")
      #expect(result.output.contains("key: ") && result.output.contains("operations: [embed]"), "\(result.output)")
      #expect(result.errors.contains("no-such-store"), "\(result.errors)")
    }
  }
}
