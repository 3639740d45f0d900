import Testing

@testable import Wire

/// What the decoder does with hostile sizes, depths and noise.
struct CBORBoundsTests {
  @Test(arguments: [CBORDecoder.Mode.deterministic, .lenient]) func nestingEndsAtTheLimit(_ mode: CBORDecoder.Mode)
    throws
  {
    for opener: [UInt8] in [[0x81], [0xC1], [0xA1, 0x00]] {
      let deepest = Array(repeatElement(opener, count: Limits.cborDepth - 1).joined()) + [0x00]
      _ = try CBORDecoder.decode(deepest, mode: mode)
      #expect(throws: WireError.self) { try CBORDecoder.decode(opener + deepest, mode: mode) }
    }
    // A megabyte of openers ends at the limit too, not at the stack's end.
    #expect(throws: WireError.self) { try CBORDecoder.decode([UInt8](repeating: 0x81, count: 1 << 20), mode: mode) }
    #expect(throws: WireError.self) { try CBORDecoder.decode([UInt8](repeating: 0x9F, count: 1 << 20), mode: .lenient) }
  }

  @Test func elementsEndAtTheLimit() throws {
    func array(_ count: Int) -> [UInt8] {
      CBOR.array(Array(repeating: .null, count: count)).encoded()
    }
    _ = try CBORDecoder.decode(array(Limits.cborElements))
    #expect(throws: WireError.self) { try CBORDecoder.decode(array(Limits.cborElements + 1)) }
    let endless = [0x9F] + [UInt8](repeating: 0xF6, count: Limits.cborElements + 1) + [0xFF]
    #expect(throws: WireError.self) { try CBORDecoder.decode(endless, mode: .lenient) }
  }

  @Test func anErrorNamesReasonAndPlaceAndNoContent() {
    #expect(throws: WireError.malformed("CBOR: duplicate key at byte 6")) {
      try CBORDecoder.decode([0xA2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02])
    }
    #expect(throws: WireError.malformed("CBOR: trailing bytes at byte 1")) { try CBORDecoder.decode([0xF6, 0xF6]) }
    #expect(throws: WireError.truncated("CBOR at byte 0")) { try CBORDecoder.decode([UInt8]()) }
  }

  @Test func aSequenceIsReadItemByItem() throws {
    let bytes = CBOR.text("a").encoded() + CBOR.array([.null]).encoded()
    let (first, used) = try CBORDecoder.decodeFirst(ArraySlice(bytes))
    #expect(first == .text("a"))
    let (second, rest) = try CBORDecoder.decodeFirst(bytes[used...])
    #expect(second == .array([.null]))
    #expect(used + rest == bytes.count)
    // What is cut says so, wherever the cut is: the reader of a sequence then waits for more.
    for cut in used + 1..<bytes.count {
      #expect(throws: (any Error).self) { try CBORDecoder.decodeFirst(bytes[used..<cut]) }
    }
  }

  @Test func whateverIsCutIsCalledTruncated() throws {
    let item = CBOR.object([
      ("bytes", .bytes(Array(repeating: 7, count: 300))), ("list", .array([.unsigned(70_000), .text("x"), .null])),
      ("tag", .tagged(1000, .bool(true))),
    ])
    let bytes = item.encoded()
    for count in bytes.indices {
      do {
        _ = try CBORDecoder.decodeFirst(bytes[0..<count])
        Issue.record("read \(count) bytes as a whole item")
      } catch WireError.truncated {
      } catch {
        Issue.record("\(count) bytes: \(error)")
      }
    }
  }

  @Test func noiseNeverCrashesAndWhatIsReadIsWrittenAgain() {
    var random = SeededRandom(seed: 8949)
    var accepted = 0
    for _ in 0..<60_000 {
      let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if let item = try? CBORDecoder.decode(bytes) {
        accepted += 1
        #expect(item.encoded() == bytes)
      }
      if let item = try? CBORDecoder.decode(bytes, mode: .lenient) {
        // One round makes it deterministic, and then it stays the same value.
        #expect((try? CBORDecoder.decode(item.encoded()))?.encoded() == item.encoded())
      }
    }
    #expect(accepted > 100)
  }

  @Test func everythingThatIsEncodedIsReadBack() throws {
    var random = SeededRandom(seed: 256)
    for _ in 0..<3_000 {
      let item = random.item(depth: 5)
      let bytes = item.encoded()
      #expect(try CBORDecoder.decode(bytes).encoded() == bytes)
      // Spoilt items are refused or are another value in the one form.
      var spoilt = bytes
      spoilt[Int.random(in: bytes.indices, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
      if let other = try? CBORDecoder.decode(spoilt) { #expect(other.encoded() == spoilt) }
    }
  }
}

/// SplitMix64, so that a failure comes back.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }

  /// A random item without duplicate keys.
  mutating func item(depth: Int) -> CBOR {
    switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &self) {
    case 0: return .unsigned(next() >> UInt64.random(in: 0...63, using: &self))
    case 1: return .negative(next() >> UInt64.random(in: 0...63, using: &self))
    case 2: return .bytes((0..<Int.random(in: 0...300, using: &self)).map { _ in UInt8(truncatingIfNeeded: next()) })
    case 3: return .text(String(repeating: "ü水", count: Int.random(in: 0...30, using: &self)))
    case 4: return .bool(Bool.random(using: &self))
    case 5: return .null
    case 6: return .array((0..<Int.random(in: 0...6, using: &self)).map { _ in item(depth: depth - 1) })
    case 7: return .tagged(next() >> UInt64.random(in: 0...63, using: &self), item(depth: depth - 1))
    default:
      let keys = Set((0..<Int.random(in: 0...6, using: &self)).map { _ in next() >> 54 })
      return .map(keys.sorted().map { CBOR.Pair(.unsigned($0), item(depth: depth - 1)) })
    }
  }
}
