/// The textual head of an age file: who can open it, and a MAC under the file key over all of that.
///
/// Parsing checks the form and nothing else: until the MAC is verified with an unwrapped file key, which
/// ``AgeDecryptor`` alone does, every field is the sender's or the host's word.
package struct AgeHeader: Equatable, Sendable {
  /// Between one and ``AgeFormat/stanzas``.
  package let stanzas: [AgeStanza]
  /// 32 bytes, not yet verified.
  package let mac: [UInt8]
  /// What the MAC covers: every byte up to and including `---`.
  let authenticated: [UInt8]

  init(stanzas: [AgeStanza], mac: [UInt8], authenticated: [UInt8]) {
    self.stanzas = stanzas
    self.mac = mac
    self.authenticated = authenticated
  }

  /// Wraps `fileKey` for each recipient and computes the MAC.
  ///
  /// - Throws: ``AgeError`` of kind `sealing` for no recipients or a header above the limits, or a recipient's error.
  init(wrapping fileKey: AgeFileKey, for recipients: [any AgeRecipient]) throws {
    guard !recipients.isEmpty else { throw AgeError(.sealing, "no recipients") }
    guard recipients.count <= AgeFormat.stanzas else {
      throw AgeError(.sealing, "\(recipients.count) recipients, over the limit of \(AgeFormat.stanzas)")
    }
    stanzas = try recipients.map { try $0.wrap(fileKey.secret) }
    var text = Array(AgeFormat.versionLine.utf8) + [UInt8(ascii: "\n")]
    for stanza in stanzas { text += try stanza.encoded() }
    authenticated = text + Array("---".utf8)
    mac = fileKey.headerMAC(authenticated)
    guard encoded.count <= AgeFormat.headerBytes else {
      throw AgeError(.sealing, "a header of \(encoded.count) bytes, over the limit of \(AgeFormat.headerBytes)")
    }
  }

  /// The header's bytes, as they were read or as they are to be written.
  package var encoded: [UInt8] {
    authenticated + [UInt8(ascii: " ")] + AgeBase64.encode(mac) + [UInt8(ascii: "\n")]
  }

  /// Parses the header at the start of `file`, of which the rest may be missing: for whoever looks at the recipients
  /// without a key.
  ///
  /// - Throws: ``AgeError`` of kind `header`.
  package init(startOf file: [UInt8]) throws {
    var rest = file[...]
    self = try AgeHeaderParser.parse { rest.popFirst() }
  }
}
