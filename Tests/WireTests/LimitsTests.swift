import Testing

@testable import Wire

/// How the bounds relate; a change of one that breaks another fails here.
struct LimitsTests {
  @Test func aFrameHoldsAChunkAndEveryWholeObject() throws {
    let digest = try ContentDigest([UInt8](repeating: 1, count: 32))
    let name = String(repeating: "n", count: 256)
    let chunk = [UInt8](repeating: 0, count: Limits.chunkBytes)
    let object = [UInt8](repeating: 0, count: Limits.smallObjectBytes)
    for item in [
      JobReply.data(chunk).encoded(), JobRequest.write(.output, chunk).encoded(),
      JobRequest.pull(.model(digest, name: name)).encoded(), JobRequest.end(.ok, receipt: object).encoded(),
      WorkerReply(.ok, statement: object).encoded(),
    ] {
      #expect(item.encoded().count <= Limits.frameBytes)
    }
  }

  @Test func aStatementHoldsItsDocument() {
    #expect(Limits.attestationBytes < Limits.smallObjectBytes)
    #expect(SecurityModuleRequest.requestBytes < SecurityModuleRequest.responseBytes)
    #expect(SecurityModuleRequest.responseBytes <= Limits.attestationBytes)
    // Four issuers and a leaf of 1 KiB each, 32 registers, and the three fields of a caller.
    #expect(5 * 1024 + 32 * 52 + 1024 + 512 + 512 < Limits.attestationBytes)
  }

  @Test func anAgeHeaderHoldsEveryRecipient() {
    #expect(Limits.recipients <= 20)
    // A stanza of 1,120 encapsulated bytes and a wrapped key, in base64 with its line ends.
    #expect(Limits.recipients * 1_700 < 64 << 10)
  }

  @Test func countsFitTheirContainers() {
    #expect(Limits.itemsPerJob < Int(UInt32.max))
    #expect(Limits.modelFiles <= Limits.cborElements)
    #expect(UInt64(Limits.inputLineBytes) < Limits.inputBytes)
    #expect(UInt64(Limits.clearModelFileBytes) < Limits.weightBytes)
    #expect(Limits.cborDepth <= 64)
  }
}
