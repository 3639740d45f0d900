import Crypto
import TestSupport
import Testing
import Wire

@testable import SealedCrypto

/// Every vector through every entrance gives the outcome that it states.
@Suite struct AgeVectorTests {
  @Test(.enabled(if: Need.vectors.isMet, "\(Need.vectors.comment)"))
  func publicVectorsAreThere() throws {
    _ = try Need.vectors.require()
    #expect(AgeVector.publicVectors.count >= 70)
  }

  @Test func ownVectorsAreThere() { #expect(AgeVector.ownVectors.count >= 25) }

  @Test(.enabled(if: Need.vectors.isMet, "\(Need.vectors.comment)"), arguments: AgeVector.publicVectors)
  func publicVectorGivesItsOutcome(vector: AgeVector) throws { try check(vector) }

  @Test(arguments: AgeVector.ownVectors)
  func ownVectorGivesItsOutcome(vector: AgeVector) throws { try check(vector) }

  @Test(.enabled(if: Need.vectors.isMet, "\(Need.vectors.comment)"), arguments: AgeVector.publicVectors)
  func publicVectorGivesItsOutcomeByItsFileKey(vector: AgeVector) throws { try checkByFileKey(vector) }

  @Test(arguments: AgeVector.ownVectors)
  func ownVectorGivesItsOutcomeByItsFileKey(vector: AgeVector) throws { try checkByFileKey(vector) }

  private func check(_ vector: AgeVector) throws {
    if vector.expectation != "header failure" {
      #expect(vector.file.starts(with: try AgeHeader(startOf: vector.file).encoded), "a header has one form")
    }
    let identities = try vector.identities()
    try expect(vector, from: MemorySource(vector.file), identities, readSize: 1 << 20)
    let dribble = vector.file.count > 100_000 ? 70_000 : 7
    let source = AgeDribblingSource(vector.file, largestPiece: dribble)
    try expect(vector, from: source, identities, readSize: 4099)
    if vector.expectation == "success" { #expect(source.wasReadToEnd, "trailing bytes would go unseen") }
  }

  /// A file key stands in for the identity, so what an identity finds in its stanza is out of sight: "no match", and a
  /// stanza of an X25519, hybrid or KMS kind that breaks its own kind's rules. All else must come out the same.
  private func checkByFileKey(_ vector: AgeVector) throws {
    let isOnlyTheIdentitys =
      vector.expectation == "no match"
      || vector.expectation == "header failure" && (try? AgeHeader(startOf: vector.file)) != nil
        && ["hybrid", "x25519", "kms"].contains { vector.name.hasPrefix($0) }
    guard !isOnlyTheIdentitys else { return }
    let identity = AgeFileKeyIdentity(fileKey: try vector.bytes("file key"))
    try expect(vector, from: MemorySource(vector.file), [identity], readSize: 65536)
  }

  private func expect(
    _ vector: AgeVector, from source: any ByteSource, _ identities: [any AgeIdentity], readSize: Int
  ) throws {
    var hash = SHA256()
    var outcome = "success"
    do {
      let decryptor = try AgeDecryptor(identities: identities, from: source)
      do {
        while case let bytes = try decryptor.read(upTo: readSize), !bytes.isEmpty { hash.update(data: bytes) }
      } catch {
        #expect(throws: AgeError.self, "a failed stream must stay failed") { try decryptor.read(upTo: 1) }
        throw error
      }
    } catch let error as AgeError {
      outcome = error.kind.rawValue
      #expect(!error.reason.isEmpty)
    }
    #expect(outcome == vector.expectation)
    // C2SP states the payload of a failing file too: what may be released before the failure shows. Our reader knows
    // where its source ends before it opens a chunk, so of some of these files it releases nothing.
    guard let stated = vector.values("payload").first else { return }
    let released = Hex.encode(hash.finalize())
    #expect(released == stated || outcome != "success" && released == Hex.encode(SHA256.hash(data: [UInt8]())))
  }
}
