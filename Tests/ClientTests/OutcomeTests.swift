import ArgumentParser
import Attestation
import Glibc
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import Client
@testable import JobRunner

@Suite("What a job's outcome lets out of its results")
struct OutcomeTests {
  private let texts = ["the report", "a memo", "fail this", "note of the bridge"]

  /// A finished job whose enclave says something else than it did; its evidence is genuine.
  private func finished(
    _ desk: Desk, fault: String? = nil, _ change: (inout ReceiptClaims) -> Void
  ) throws -> LedgerEntry {
    let entry = try desk.submit(texts)
    var finished = try desk.finish(entry)
    var claims = finished.receipt.claims
    if let fault {
      finished.files[.items] = try Self.sealed(desk, try #require(finished.files[.items]), fault: fault)
      claims.job?.files = finished.files.sorted { $0.key.rawValue < $1.key.rawValue }.map {
        ReceiptFile(file: $0.key, size: UInt64($0.value.count), sha256: BundleDigest.of($0.value))
      }
    }
    change(&claims)
    finished.receipt = try desk.enclave.sign(claims, atMs: Desk.nowMs + 1000)
    try desk.commit(entry.record.job, finished)
    return entry
  }

  /// `items.cbor` with another trailer.
  private static func sealed(_ desk: Desk, _ items: [UInt8], fault: String) throws -> [UInt8] {
    let plaintext = try AgeDecryptor(identities: try desk.home.keys.identities(), from: MemorySource(items))
      .readAll(limit: 1 << 20, "items")
    let old = ItemsTrailer(items: 4, failedItems: 1, tokens: 12, fault: nil).encoded()
    #expect(plaintext.suffix(old.count) == old[...])
    let sink = MemorySink(limit: 1 << 20)
    let encryptor = try AgeEncryptor(recipients: [try desk.home.keys.recipient()], to: sink)
    let trailer = ItemsTrailer(items: 4, failedItems: 1, tokens: 12, fault: fault).encoded()
    try encryptor.write(plaintext.dropLast(old.count) + trailer)
    try encryptor.finish()
    return sink.bytes
  }

  private func exitCode(_ desk: Desk, _ entry: LedgerEntry, _ output: String) throws -> Int32 {
    let command = try ResultsCommand.Get.parse([
      entry.record.job.hex, "--home", desk.home.path, "--store", "file://\(desk.folder)/store", "--profile", "dev",
      "--output", output, "--json",
    ])
    do {
      try command.run()
      return 0
    } catch let code as ExitCode {
      return code.rawValue
    }
  }

  @Test("of a failed or refused job the receipt, the reason and the errors are written, and no output")
  func failed() throws {
    let desk = try Desk()
    for (outcome, code) in [(JobOutcome.failed, OutwardCode.failed), (.refused, .refused)] {
      let entry = try finished(desk, fault: "the input ends early") {
        $0.outcome = outcome
        $0.code = code
      }
      let examined = try desk.examine(entry)
      let writer = ResultsWriter(try #require(examined.results), receipt: examined.bytes)
      for format in ResultsFormat.allCases {
        let folder = "\(desk.folder)/\(outcome.rawValue)-\(format.rawValue)"
        #expect(
          try writer.write(format, to: folder, replacing: false) == ["errors.jsonl", "fault.txt", "receipt.cose"])
        #expect(try PrivateFiles.read("\(folder)/fault.txt") == Array("the input ends early\n".utf8))
      }
      let sink = MemorySink(limit: 1 << 20)
      try writer.writeOutput(to: sink)
      #expect(sink.bytes.isEmpty)
    }
  }

  @Test("`results get` ends with the job's outcome, into a folder as into a pipe")
  func exitCodes() throws {
    let desk = try Desk()
    let failed = try finished(desk, fault: "the input ends early") {
      $0.outcome = .failed
      $0.code = .failed
    }
    #expect(try exitCode(desk, failed, "-") == ExitStatus.jobFailed.rawValue)
    #expect(try exitCode(desk, failed, "\(desk.folder)/failed") == ExitStatus.jobFailed.rawValue)
    let partial = try finished(desk) { _ in }
    #expect(try exitCode(desk, partial, "-") == ExitStatus.partial.rawValue)
    #expect(try exitCode(desk, partial, "\(desk.folder)/partial") == ExitStatus.partial.rawValue)
  }

  @Test("an outcome that the items contradict is refused")
  func contradictions() throws {
    let desk = try Desk()
    let completed = try finished(desk) { $0.outcome = .completed }
    #expect(clientError { _ = try desk.examine(completed) }?.reason.contains("says completed") == true)
    let withFault = try finished(desk, fault: "the input ends early") { _ in }
    #expect(clientError { _ = try desk.examine(withFault) }?.reason.contains("says partial") == true)
  }

  @Test(
    "a receipt that names another model, precision or place in the stream than the manifest is refused",
    arguments: ["model", "precision", "auto", "stream", "sequence", "previous"])
  func manifest(_ field: String) throws {
    let desk = try Desk()
    let entry = try finished(desk) { claims in
      switch field {
      case "model": claims.job?.model = BundleDigest.of([1])
      case "precision": claims.job?.precision = "int8"
      case "auto": claims.job?.precision = "auto"
      case "stream": claims.job?.stream = [UInt8](repeating: 1, count: 16)
      case "sequence": claims.job?.sequence += 1
      default: claims.job?.previous = BundleDigest.of([1])
      }
    }
    // The ledger's entry would show some of it already: the sealed copy of the manifest alone is asked here.
    PrivateFiles.removeEntry(entry.path)
    let error = clientError { _ = try desk.examine(entry) }
    #expect(error?.kind == .invalid)
    #expect(error?.reason.contains("than the manifest") == true, "\(error?.reason ?? "accepted")")
  }

  @Test("--force replaces a folder of results and follows no link")
  func force() throws {
    let desk = try Desk()
    let entry = try finished(desk) { _ in }
    let examined = try desk.examine(entry)
    let writer = ResultsWriter(try #require(examined.results), receipt: examined.bytes)
    let (real, link) = ("\(desk.folder)/real", "\(desk.folder)/link")
    try writer.write(.jsonl, to: real, replacing: false)
    #expect(symlink(real, link) == 0)
    #expect(clientError { try writer.write(.npy, to: link, replacing: true) }?.kind == .usage)
    #expect(try PrivateFiles.names(in: real).contains("output.jsonl"))
    try writer.write(.npy, to: real, replacing: true)
    #expect(try PrivateFiles.names(in: real).contains("embeddings.npy"))
    #expect(try PrivateFiles.names(in: desk.folder).allSatisfy { !$0.contains(".old-") && !$0.contains(".partial-") })
  }
}
