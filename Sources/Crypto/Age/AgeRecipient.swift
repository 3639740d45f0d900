/// Whoever a file can be sealed to.
package protocol AgeRecipient {
  /// Wraps `fileKey` (16 bytes) into a stanza, with fresh randomness where the kind takes any.
  ///
  /// - Throws: ``AgeError`` where the recipient's key material does not serve.
  func wrap(_ fileKey: SecretBytes) throws -> AgeStanza
}

/// Whoever may be able to open a file.
package protocol AgeIdentity {
  /// Looks for a stanza of its kind that it can open, and ignores every other kind.
  ///
  /// All stanzas of its kind are checked for their form before the first is opened.
  ///
  /// - Throws: ``AgeError`` of kind `header` for a stanza of its kind that breaks that kind's rules; whatever a key
  ///   service throws, unchanged, so that the caller can tell a refusal from a broken file.
  func unwrap(_ stanzas: [AgeStanza]) throws -> AgeUnwrapping
}

/// What an identity made of a header's stanzas.
package enum AgeUnwrapping {
  /// The file key. Whether it is the right one, the header MAC tells.
  case fileKey(SecretBytes)
  /// No stanza is for this identity; why, in words that name no secret.
  case notForMe(String)
}
