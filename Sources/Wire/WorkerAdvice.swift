/// Why the worker did not do what its host asked for, as far as that helps the host's operator; beside the code of every
/// reply but a job's, which says nothing finer than ``OutwardCode`` (protocol §5).
///
/// A closed list without free text: it speaks of the host's own credentials, clock and relay, of a policy that the host
/// has in clear, and of what KMS answered to the host's own credentials, which stands in their owner's CloudTrail anyway
/// (docs/decisions/0006).
package enum WorkerAdvice: String, Sendable, CaseIterable {
  /// KMS cannot be reached through the relay, or does not answer in time.
  case relayUnreachable = "relay-unreachable"
  /// Whoever answers at the relay cannot prove to be KMS.
  case relayNotKMS = "relay-not-kms"
  /// KMS throttles or is in trouble itself.
  case kmsBusy = "kms-busy"
  /// The credentials have ended.
  case credentialsExpired = "credentials-expired"
  /// KMS does not know the credentials, or they do not fit together.
  case credentialsInvalid = "credentials-invalid"
  /// The clocks of host, security module and KMS differ.
  case clock
  /// The key's policy (or IAM) does not let these credentials and this image use the key.
  case keyDenied = "key-denied"
  /// The key does not exist, is disabled, or waits for its deletion.
  case keyUnusable = "key-unusable"
  /// KMS says that the ciphertext is not of this key and encryption context.
  case wrongCiphertext = "wrong-ciphertext"
  /// KMS does not take the request.
  case requestInvalid = "request-invalid"
  /// KMS's answer is not what was asked for.
  case replyInvalid = "reply-invalid"
}
