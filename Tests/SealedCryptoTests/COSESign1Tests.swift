import Testing
import Wire

@testable import SealedCrypto

/// The COSE_Sign1 array itself (RFC 9052 §4.2).
struct COSESign1Tests {
  private let parts: [CBOR] = [.bytes([0xA0]), .map([]), .bytes([1]), .bytes([2])]

  private func read(_ item: CBOR, _ tagging: COSESign1.Tagging = .required) throws -> COSESign1 {
    try COSESign1(item.encoded(), tagging: tagging, mode: .deterministic)
  }

  @Test func theTagIsDemandedOnlyWhereItIsRequired() throws {
    _ = try read(.tagged(18, .array(parts)))
    _ = try read(.array(parts), .optional)
    _ = try read(.tagged(18, .array(parts)), .optional)
    #expect(throws: WireError.self) { try read(.array(parts)) }
    for tag: UInt64 in [17, 97, 98] {
      #expect(throws: WireError.self) { try read(.tagged(tag, .array(parts)), .optional) }
    }
    #expect(throws: WireError.self) { try read(.tagged(18, .tagged(18, .array(parts))), .optional) }
  }

  @Test func fourPartsOfTheRightTypesAreDemanded() {
    for index in parts.indices {
      var wrong = parts
      wrong[index] = .null
      #expect(throws: WireError.self) { try read(.tagged(18, .array(wrong))) }
      wrong.remove(at: index)
      #expect(throws: WireError.self) { try read(.tagged(18, .array(wrong))) }
    }
    #expect(throws: WireError.self) { try read(.tagged(18, .array(parts + [.null]))) }
  }

  @Test func theSignedBytesAreTheRFCsStructure() {
    // ["Signature1", h'A0', h'', h'01']
    let expected: [UInt8] = [0x84, 0x6A] + Array("Signature1".utf8) + [0x41, 0xA0, 0x40, 0x41, 0x01]
    #expect(COSESign1.signedBytes(protected: [0xA0], externalAAD: [], payload: [1]) == expected)
  }

  @Test func writingAndReadingAreInverse() throws {
    let message = try read(.tagged(18, .array(parts)))
    #expect(message.encoded() == CBOR.tagged(18, .array(parts)).encoded())
  }
}
