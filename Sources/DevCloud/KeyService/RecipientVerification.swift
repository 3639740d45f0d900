import Attestation
import FoundationEssentials
import SealedCrypto
import Wire

/// Who an answer is for, proven: the public key and the registers of an attestation document that holds now.
struct VerifiedRecipient: Sendable {
  /// AWS takes documents of the last five minutes.
  static let documentAgeMs: UInt64 = 5 * 60_000

  private let attestation: VerifiedAttestation

  /// Verifies a request's `Recipient` as KMS does: chain to the root now, signature (in an emulated state neither), age,
  /// and the one algorithm.
  ///
  /// - Parameter now: milliseconds since 1970.
  /// - Throws: ``KeyServiceError`` `ValidationException`.
  init(_ recipient: KeyServiceRequest.Recipient, verifier: AttestationVerifier, now: Int64) throws(KeyServiceError) {
    guard recipient.keyEncryptionAlgorithm == "RSAES_OAEP_SHA_256" else {
      throw .validation("KeyEncryptionAlgorithm must be RSAES_OAEP_SHA_256.")
    }
    guard let document = recipient.attestationDocument else {
      throw .validation("Recipient has no AttestationDocument.")
    }
    do {
      attestation = try verifier.verify(
        UnverifiedAttestation(Array(document)), at: .at(ms: UInt64(max(0, now))), measurements: nil,
        maximumAgeMs: Self.documentAgeMs)
    } catch {
      throw .validation("The attestation document is not valid: \(error)")
    }
  }

  /// What key policies can demand: `kms:RecipientAttestation:ImageSha384` and `…:PCR<n>`, lower-case hex.
  var conditionKeys: [String: String] {
    var keys: [String: String] = [:]
    for (index, value) in attestation.pcrs { keys["kms:recipientattestation:pcr\(index)"] = Hex.encode(value) }
    keys["kms:recipientattestation:imagesha384"] = attestation.pcrs[0].map { Hex.encode($0) }
    return keys
  }

  /// For the log.
  var moduleID: String { attestation.moduleID }

  /// The plaintext as CiphertextForRecipient.
  ///
  /// - Throws: ``KeyServiceError``.
  func seal(_ plain: SecretBytes) throws(KeyServiceError) -> Data {
    guard let publicKey = attestation.publicKey else {
      throw .validation("Invalid public key: the attestation document carries none.")
    }
    do {
      return Data(try plain.withUnsafeBytes { try RecipientEnvelope.seal($0, to: publicKey) })
    } catch RecipientEnvelope.Failure.badKey {
      throw .validation("Invalid public key: not an RSA SubjectPublicKeyInfo of 2048 bits.")
    } catch {
      throw .internal
    }
  }
}
