/// What signs AWS requests. The secret half lives in guarded memory and no part but the access key id is ever printed.
///
/// In the enclave these come from the host and are worth nothing without attestation (protocol §2).
package struct AWSCredentials: Sendable, CustomStringConvertible, CustomReflectable {
  /// The public half, as it stands in every signed request.
  package let accessKeyID: String
  /// The secret access key, as UTF-8.
  package let secret: SecretBytes
  /// For temporary credentials; sent with each request, never printed.
  package let sessionToken: String?
  /// When they end, in seconds since 1970; nil when they do not.
  package let expiration: Int64?

  package init(accessKeyID: String, secret: SecretBytes, sessionToken: String? = nil, expiration: Int64? = nil) {
    self.accessKeyID = accessKeyID
    self.secret = secret
    self.sessionToken = sessionToken
    self.expiration = expiration
  }

  package var description: String { "AWSCredentials(\(accessKeyID), secrets not shown)" }
  /// Nothing for `dump`: the session token is a secret too.
  package var customMirror: Mirror { Mirror(self, children: [:]) }
}
