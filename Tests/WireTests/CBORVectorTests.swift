import Foundation
import TestSupport
import Testing

@testable import Wire

/// Tests/Vectors/cbor: the RFC's own examples, each with the outcome that it must have.
struct CBORVectorTests {
  struct Vector: CustomTestStringConvertible, Sendable {
    let outcome: String
    let bytes: [UInt8]
    /// The deterministic encoding of the same value.
    let canonical: [UInt8]
    let testDescription: String
  }

  static func vectors() throws -> [Vector] {
    let text = try String(contentsOf: Checkout.root.appending(path: "Tests/Vectors/cbor/rfc8949.txt"), encoding: .utf8)
    return try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let parts = line.split(separator: " ")
      let bytes = try #require(Hex.decode(parts[1]))
      let canonical = parts[0] == "lenient" ? try #require(Hex.decode(parts[2])) : bytes
      return Vector(outcome: String(parts[0]), bytes: bytes, canonical: canonical, testDescription: String(line))
    }
  }

  @Test func everyVectorHasItsOutcome() throws {
    let vectors = try Self.vectors()
    #expect(vectors.count > 150)
    for vector in vectors {
      let strict = try? CBORDecoder.decode(vector.bytes)
      let lenient = try? CBORDecoder.decode(vector.bytes, mode: .lenient)
      #expect((strict != nil) == (vector.outcome == "deterministic"), "\(vector.testDescription)")
      #expect((lenient != nil) == (vector.outcome != "refused"), "\(vector.testDescription)")
      if let lenient { #expect(lenient.encoded() == vector.canonical, "\(vector.testDescription)") }
    }
  }

  @Test func valuesAreWhatTheBytesSay() throws {
    func value(_ hex: String, _ mode: CBORDecoder.Mode = .deterministic) throws -> CBOR {
      try CBORDecoder.decode(try #require(Hex.decode(hex)), mode: mode)
    }
    #expect(try value("1bffffffffffffffff") == .unsigned(.max))
    #expect(try value("3bffffffffffffffff") == .negative(.max))
    #expect(try value("3903e7") == .integer(-1000))
    #expect(try value("d74401020304") == .tagged(23, .bytes([1, 2, 3, 4])))
    #expect(try value("64f0908591") == .text("\u{10151}"))
    #expect(
      try value("8301820203820405")
        == .array([
          .unsigned(1), .array([.unsigned(2), .unsigned(3)]), .array([.unsigned(4), .unsigned(5)]),
        ]))
    #expect(
      try value("bf61610161629f0203ffff", .lenient)
        == .object([
          ("a", .unsigned(1)), ("b", .array([.unsigned(2), .unsigned(3)])),
        ]))
    #expect(try value("83f4f5f6") == .array([.bool(false), .bool(true), .null]))
  }

  @Test func signedNumbersReachBothEnds() {
    #expect(CBOR.integer(.min) == .negative(UInt64(Int64.max)))
    #expect(CBOR.integer(.max) == .unsigned(UInt64(Int64.max)))
    #expect(CBOR.integer(0) == .unsigned(0))
    #expect(CBOR.integer(-1) == .negative(0))
  }
}
