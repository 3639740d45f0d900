import Attestation
import ArgumentParser
import Foundation
import ObjectStore
import SealedCrypto
import Testing
import Wire

@testable import Client
@testable import JobRunner

/// What an auditor's tests do at a ``Desk``: nights of jobs, receipts on files, audits of them.
extension Desk {
  static let hourMs: UInt64 = 3_600_000

  /// Plays enclave and host for a submitted job at a time of its own.
  @discardableResult
  func finish(_ entry: LedgerEntry, atMs: UInt64) throws -> TestEnclave.Finished {
    let key = try ObjectKey(StoreLayout.bundle(entry.record.job, queue: entry.record.queue))
    let finished = try enclave.run(try store.getSmall(key, limit: 1 << 26), policy, atMs: atMs)
    try commit(entry.record.job, finished)
    return finished
  }

  /// `count` jobs of one stream, an hour apart, each with its receipt.
  func nights(_ count: Int, stream: String = "nightly") throws -> [(entry: LedgerEntry, receipt: [UInt8])] {
    try (0..<count).map { number in
      let entry = try submit(["night \(number)"]) { $0.stream = stream }
      return (entry, try finish(entry, atMs: Self.nowMs + UInt64(number) * Self.hourMs + 1000).receipt.bytes)
    }
  }

  /// Writes receipts to a folder, as an auditor gets them.
  func collect(_ receipts: [[UInt8]], to folder: String = "collected") throws -> String {
    try PrivateFiles.makeDirectory("\(self.folder)/\(folder)")
    for (index, receipt) in receipts.enumerated() { _ = try file("\(folder)/\(100 + index).receipt", receipt) }
    return "\(self.folder)/\(folder)"
  }

  /// A receipt with genuine evidence that says something else.
  func resigned(_ receipt: [UInt8], atMs: UInt64? = nil, _ change: (inout ReceiptClaims) -> Void) throws -> [UInt8] {
    var claims = try UnverifiedStatement<ReceiptClaims>(receipt).signedByItsOwnKey().signed.claims
    change(&claims)
    return try enclave.sign(claims, atMs: atMs ?? claims.endedMs + 10).bytes
  }

  func audit(
    _ source: any ReceiptSource, policies: [String] = [], _ change: (inout AuditPlan) throws -> Void = { _ in }
  ) throws -> AuditResult {
    _ = try TrustStore(home: home).policies(profile).refresh(from: store, nowMs: Self.nowMs)
    var plan = AuditPlan(asOfMs: Self.nowMs + 1000 * Self.hourMs)
    try change(&plan)
    let archive = try PolicyArchive(home: home, profile: profile, paths: policies)
    return try Auditor(profile: profile, archive: archive, plan: plan).audit(source)
  }

  func audit(folder: String, _ change: (inout AuditPlan) throws -> Void = { _ in }) throws -> AuditResult {
    try audit(ReceiptFolder(path: folder), change)
  }

  /// The ledger's streams.
  func streams() throws -> [LedgerStream] { try ledger.streams(profile: profile.name) }

  /// Runs a command of the program and returns its exit code.
  func exitCode<Command: ParsableCommand>(_: Command.Type, _ arguments: [String]) throws -> Int32 {
    let shared = ["--home", home.path, "--profile", profile.name, "--json"]
    do {
      var command = try Command.parse(arguments + shared)
      try command.run()
      return 0
    } catch let code as ExitCode {
      return code.rawValue
    } catch {
      return CLIError(error).status.rawValue
    }
  }
}

extension AuditResult {
  /// Kinds of all findings, notes too, each once.
  var kinds: Set<AuditFinding.Kind> { Set(findings.counts.keys) }

  /// The only finding of a kind.
  func only(_ kind: AuditFinding.Kind) throws -> AuditFinding {
    let found = findings.all.filter { $0.kind == kind }
    try #require(found.count == 1, "\(found.count) of \(kind)")
    return found[0]
  }
}

extension Desk {
  /// Seals a job into the ledger, as a submit does whose upload fails.
  func sealed(_ text: String, stream: String) throws -> LedgerEntry {
    var request = SubmissionRequest()
    request.stream = stream
    let path = try file("input-\(UUID().uuidString).jsonl", #"{"id":"a","text":"\#(text)"}"#)
    return try submitter.seal(
      try submitter.prepare(JSONLFile(path: path), request, nowMs: Self.nowMs), nowMs: Self.nowMs)
  }
}
