import Crypto
import Wire

/// What a server was found to do of what this project needs or likes of it; for `doctor`, and for the page that lists
/// servers (docs/operations/stores.md).
package struct StoreFinding: Sendable {
  /// The property, in a few words.
  package let name: String
  package let isMet: Bool
  /// Without it nothing may run on the store; of the others the lack is merely worth knowing.
  package let isNeeded: Bool
  /// What was seen.
  package let detail: String
}

extension S3Store {
  /// Writes, reads and deletes a few small objects of the store's own names, and tells what the server makes of them.
  ///
  /// - Throws: ``ObjectStoreError`` where a request fails that no finding is about, such as for want of rights.
  package func examine() throws -> [StoreFinding] {
    let root = try ObjectKey("x")
    let probe = ObjectKey.reserved(ConditionTest.name + "-" + Self.newWriteID(), beside: root)
    defer { try? delete(probe) }
    var findings: [StoreFinding] = []
    func note(_ name: String, _ isMet: Bool, isNeeded: Bool = true, _ detail: String) {
      findings.append(StoreFinding(name: name, isMet: isMet, isNeeded: isNeeded, detail: detail))
    }

    let bytes = Array("written by ephemeral to see what the server does".utf8)
    _ = try put(probe, bytes, .always)
    let head = try client.send(S3Call(operation: .headObject, key: probe, headers: [S3Checksum.modeHeader]))
    note("reads what was written", try getSmall(probe) == bytes, "a small object, at once after its write")
    note(
      "keeps metadata", head.headers[Self.writeIDHeader] != nil,
      "\(Self.writeIDHeader), by which a write whose answer was lost knows itself")
    for subject in ConditionTest.Subject.allCases {
      let verdict = try ConditionTest(client, isNeeded: true).verdict(of: subject, beside: root)
      note("If-None-Match on \(subject.rawValue)", verdict == .honoured, "\(verdict)")
      guard subject == .put, verdict == .honoured else { continue }
      let rounds = try (0..<8).map { _ in try race() }
      note("one winner of eight writers at once", rounds.allSatisfy { $0 == 1 }, "winners by round: \(rounds)")
    }
    note(
      "ranges of one version", try servesRanges(probe, bytes), "Range with If-Match: 206, and 412 for another version")
    note(
      "refuses a body that contradicts its SHA-256", try refusesDamage(probe), isNeeded: false,
      S3Checksum.header + " on PutObject")
    note(
      "keeps the SHA-256", head.headers[S3Checksum.header] == S3Checksum.text(Array(SHA256.hash(data: bytes))),
      isNeeded: false, "reads are held to it where it is kept")
    return findings
  }

  /// How many of eight concurrent writers of one new object are told that they won.
  private func race() throws -> Int {
    let key = ObjectKey.reserved(ConditionTest.name + "-" + Self.newWriteID(), beside: try ObjectKey("x"))
    defer { try? delete(key) }
    let lanes = TransferLanes(count: 8)
    let writers = (0..<8).map { number in
      lanes.start { [client] in
        try client.send(
          S3Call(
            operation: .putObject, key: key, headers: Self.headers(.ifAbsent), body: [UInt8(number)],
            accepted: [200, 409, 412])
        ).status
      }
    }
    return try writers.compactMap { try $0?.wait().get() }.filter { $0 == 200 }.count
  }

  private func servesRanges(_ key: ObjectKey, _ bytes: [UInt8]) throws -> Bool {
    guard let info = try head(key) else { return false }
    func get(_ version: String) throws -> HTTPResponse {
      try client.send(
        S3Call(
          operation: .getObject, key: key, headers: [("range", "bytes=2-5"), ("if-match", version)],
          accepted: [200, 206, 412]))
    }
    let other = "\"00000000000000000000000000000000\""
    return try get(info.version).body == Array(bytes[2...5]) && get(other).status == 412
  }

  private func refusesDamage(_ key: ObjectKey) throws -> Bool {
    // The signature covers the true body, so that what is refused is the checksum.
    let wrong = S3Checksum.text([UInt8](repeating: 7, count: 32))
    return try client.send(
      S3Call(
        operation: .putObject, key: key, headers: [(S3Checksum.header, wrong)], body: [1], accepted: [200, 400])
    ).status == 400
  }
}
