import Testing

@testable import Wire

/// Maps are read field by field, and nothing that was not read is accepted.
struct CBORFieldsTests {
  private func fields(_ pairs: [(String, CBOR?)]) throws -> CBORFields { try CBORFields(.object(pairs), in: "test") }

  @Test func whatNobodyReadIsRefusedByName() throws {
    var fields = try fields([("known", .null), ("other", .null)])
    _ = try fields.item("known")
    #expect(throws: WireError.malformed("test: unknown key other")) { try fields.finish() }
  }

  @Test func aMissingFieldIsNamed() throws {
    var fields = try fields([])
    #expect(throws: WireError.malformed("test: size is missing")) { try fields.unsigned("size") }
  }

  @Test func aKeyFromOutsideIsShownWithoutItsControlCharacters() throws {
    let fields = try fields([("a\u{1B}[31m水", .null)])
    #expect(throws: WireError.malformed("test: unknown key a?[31m?")) { try fields.finish() }
  }

  @Test func typesAndBoundsAreChecked() throws {
    var fields = try fields([
      ("text", .text("four")), ("bytes", .bytes([1, 2])), ("number", .unsigned(7)), ("null", .null),
      ("list", .array([.null, .null])), ("digest", .bytes([1])),
    ])
    var copy = fields
    #expect(throws: WireError.self) { try copy.text("text", limit: 3) }
    copy = fields
    #expect(throws: WireError.self) { try copy.bytes("bytes", count: 3) }
    copy = fields
    #expect(throws: WireError.self) { try copy.bytes("bytes", limit: 1) }
    copy = fields
    #expect(throws: WireError.self) { try copy.unsigned("number", limit: 6) }
    copy = fields
    #expect(throws: WireError.self) { try copy.array("list", limit: 1) { $0 } }
    copy = fields
    #expect(throws: WireError.self) { try copy.digest("digest") }
    copy = fields
    #expect(throws: WireError.self) { try copy.bool("number") }
    copy = fields
    #expect(throws: WireError.self) { try copy.text("null") }
    #expect(fields.optional("null") == nil)
    #expect(try fields.optionalBytes("absent") == nil)
    #expect(try fields.text("text", limit: 4) == "four")
  }

  @Test func aKeyThatIsNotTextIsRefused() {
    #expect(throws: WireError.self) { try CBORFields(.map([.init(.unsigned(1), .null)]), in: "test") }
    #expect(throws: WireError.self) { try CBORFields(.array([]), in: "test") }
  }
}
