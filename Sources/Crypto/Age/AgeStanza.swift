/// One recipient stanza of an age header: it wraps the file key for one recipient.
package struct AgeStanza: Equatable, Sendable {
  /// The first argument, which names the kind: `mlkem768x25519`, `ephemeralml-kms-v1`, or another program's.
  package let type: String
  /// The further arguments, in order; each one or more visible ASCII characters.
  package let arguments: [String]
  /// The body, decoded.
  package let body: [UInt8]

  package init(type: String, arguments: [String], body: [UInt8]) {
    self.type = type
    self.arguments = arguments
    self.body = body
  }

  /// The stanza's lines, each with its newline: `-> type arguments`, then the body in base64 at 64 columns, ending in a
  /// line shorter than that (age.md, "Recipient stanza").
  ///
  /// - Throws: ``AgeError`` of kind `sealing` for an argument that the format cannot carry.
  func encoded() throws -> [UInt8] {
    var text = Array("->".utf8)
    for argument in [type] + arguments {
      guard Self.isArgument(argument.utf8) else { throw AgeError(.sealing, "an argument that no stanza can carry") }
      text.append(UInt8(ascii: " "))
      text += argument.utf8
    }
    text.append(UInt8(ascii: "\n"))
    var base64 = AgeBase64.encode(body)[...]
    while base64.count >= AgeFormat.bodyColumns {
      text += base64.prefix(AgeFormat.bodyColumns) + [UInt8(ascii: "\n")]
      base64 = base64.dropFirst(AgeFormat.bodyColumns)
    }
    return text + base64 + [UInt8(ascii: "\n")]
  }

  /// Whether `text` is `1*VCHAR`.
  static func isArgument(_ text: some Collection<UInt8>) -> Bool {
    !text.isEmpty && text.allSatisfy { 0x21...0x7E ~= $0 }
  }
}
