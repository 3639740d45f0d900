import Client
import Crypto
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// The host alters the bundle on its way to the worker. What it gets is never a success, and a receipt only of the bytes
  /// that it gave, which is another bundle's name.
  @Suite("Bundles")
  struct Bundles {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    /// Streams `bundle` and expects no success: a receipt of these very bytes, or nothing decided where no key that the
    /// worker holds opens them, since which epochs it holds is the host's doing too.
    private func expectNoSuccess(_ bundle: [UInt8], _ what: String, notA honest: JobName) throws {
      let ended = try stage.run(bundle)
      #expect(ended.code != .ok, "\(what)")
      guard ended.receipt != nil else {
        #expect(ended.code == .retry && ended.files.isEmpty, "\(what): \(ended.code)")
        return
      }
      let claims = try ended.claims
      #expect(claims.outcome == .refused || claims.outcome == .failed, "\(what): \(claims.outcome)")
      #expect(claims.bundle == SHA256.digest(of: bundle) && claims.bundle != honest, "\(what)")
    }

    @Test("A bit flipped at any offset of a bundle is never a success, and a receipt of it names other bytes")
    func everyOffset() throws {
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      for offset in job.bundle.indices {
        try expectNoSuccess(job.bundle.flipped(at: offset), "offset \(offset)", notA: job.name)
      }
      try stage.proveAlive()
    }

    @Test("A bundle cut at any chunk border, or one byte beside it, or in its header, is never a success")
    func truncation() throws {
      let (bundle, name, payload) = try largeBundle()
      let borders = stride(from: payload, to: bundle.count, by: AgeFormat.chunkBytes + AgeFormat.tagBytes)
      for border in borders {
        for cut in [border - 1, border, border + 1] where cut < bundle.count {
          try expectNoSuccess(Array(bundle[..<cut]), "cut at \(cut)", notA: name)
        }
      }
      for cut in [0, 1, 20, payload - AgeFormat.nonceBytes, bundle.count - 1] {
        try expectNoSuccess(Array(bundle[..<cut]), "cut at \(cut)", notA: name)
      }
      try stage.proveAlive()
    }

    @Test("Chunks that are swapped, repeated, left out or added are never a success")
    func chunks() throws {
      let (bundle, name, payload) = try largeBundle()
      let size = AgeFormat.chunkBytes + AgeFormat.tagBytes
      let head = Array(bundle[..<payload])
      let chunks = stride(from: payload, to: bundle.count, by: size).map {
        Array(bundle[$0..<min($0 + size, bundle.count)])
      }
      try #require(chunks.count > 3)
      let (first, second, rest) = (chunks[0], chunks[1], chunks[2...])
      let forgeries: [(String, [[UInt8]])] = [
        ("swapped", [second, first] + rest), ("repeated", [first, first, second] + rest), ("left out", [first] + rest),
        ("last repeated", chunks + [chunks[chunks.count - 1]]), ("first again at the end", chunks + [first]),
        ("a byte more", chunks + [[0]]), ("only the last", [chunks[chunks.count - 1]]), ("none", []),
      ]
      for (what, chunks) in forgeries { try expectNoSuccess(head + chunks.flatMap { $0 }, what, notA: name) }
      try stage.proveAlive()
    }

    @Test("The header of one bundle before the payload of another is refused")
    func splice() throws {
      let one = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      let other = try stage.bob.submit(["the river"], model: stage.models[0].digest.hex, to: stage.store)
      let (cut, otherCut) = (try Self.payloadStart(one.bundle), try Self.payloadStart(other.bundle))
      let nonce = AgeFormat.nonceBytes
      try expectNoSuccess(
        Array(one.bundle[..<cut] + other.bundle[otherCut...]), "header and nonce of another", notA: one.name)
      try expectNoSuccess(
        Array(one.bundle[..<(cut - nonce)] + other.bundle[(otherCut - nonce)...]), "header of another", notA: one.name)
    }

    @Test("A bundle that the host sealed by itself to the announced key is refused: no submitter signed its manifest")
    func ownBundle() throws {
      let stranger = try SigningKey.generate()
      let ended = try stage.run(try stage.forgedBundle(signedBy: stranger))
      #expect(ended.code == .refused)
      let claims = try ended.claims
      #expect(claims.outcome == .refused && claims.job == nil, "nothing of an unverified manifest is repeated")
      #expect(ended.files.isEmpty)
    }

    @Test("Random bytes of any size end in a refusal")
    func garbage() throws {
      for size in [0, 1, 100, 70_000] {
        let bytes = (0..<size).map { _ in UInt8.random(in: 0...255) }
        #expect(try stage.run(bytes).claims.outcome == .refused, "\(size) bytes")
      }
      try stage.proveAlive()
    }

    /// A bundle of several chunks, and where its payload's first chunk begins.
    private func largeBundle() throws -> (bundle: [UInt8], name: JobName, payload: Int) {
      let texts = (0..<400).map { number in "report \(number) " + String(repeating: "of the river ", count: 45) }
      let job = try stage.alice.submit(texts, model: stage.models[0].digest.hex, to: stage.store)
      return (job.bundle, job.name, try Self.payloadStart(job.bundle))
    }

    /// Behind the header's last line and the nonce.
    private static func payloadStart(_ bundle: [UInt8]) throws -> Int {
      let mark = Array("\n---".utf8)
      let start = try #require((0..<bundle.count - 4).first { Array(bundle[$0..<$0 + 4]) == mark })
      let end = try #require(bundle[(start + 1)...].firstIndex(of: 0x0A))
      return end + 1 + AgeFormat.nonceBytes
    }
  }
}

extension Stage {
  /// The announced sealing key, to which anybody can seal.
  func sealingKey() throws -> HybridRecipient {
    let announcement = try UnverifiedStatement<AnnouncementClaims>(try store.get(StoreLayout.announcement(1)))
      .signedByItsOwnKey().signed.claims
    return try HybridRecipient(publicKey: announcement.publicKey)
  }

  /// A well-formed bundle for the announced sealing key, its manifest signed by a key of the host's choosing.
  ///
  /// - Parameters:
  ///   - input: one item unless `change` says otherwise.
  ///   - change: alters the claims before they are signed.
  func forgedBundle(
    signedBy key: SigningKey, input: [UInt8] = Array(#"{"id":"d0","text":"the bridge"}"#.utf8) + [0x0A],
    change: (inout JobManifestClaims) -> Void = { _ in }
  ) throws -> [UInt8] {
    let sealingKey = try sealingKey()
    var claims = JobManifestClaims(
      policyVersion: policy.claims.version, sealingKey: SHA256.digest(of: sealingKey.publicKey),
      createdMs: Self.nowMs, notAfterMs: Self.nowMs + Self.dayMs, salt: [UInt8](repeating: 7, count: 32),
      operation: "embed", encoding: "base64", seed: 0, model: models[0].digest, precision: "fp32", inputFormat: .idText,
      inputSHA256: SHA256.digest(of: input), inputItems: 1, inputBytes: UInt64(input.count),
      recipients: [alice.recipient.publicKey],
      stream: StreamPosition(
        id: [UInt8](repeating: 9, count: 16), name: "forged", sequence: 1, previous: nil, voided: []))
    change(&claims)
    let manifest = try Signed<JobManifestClaims>.sign(claims, with: key)
    let sink = MemorySink()
    _ = try BundleSealer.seal(manifest, to: sealingKey, into: sink) { try $0.write(input) }
    return sink.bytes
  }
}
