import SealedCrypto
import Wire

/// A statement of an enclave: its signature holds, and a verified document of a listed image binds it. Nothing but
/// ``AttestationVerifier/attested(_:measurements:at:)`` makes one.
package struct Attested<Claims: AttestedClaims>: Sendable {
  /// The statement.
  package let signed: Signed<Claims>
  /// The document that binds it.
  package let attestation: VerifiedAttestation
  /// What it says.
  package var claims: Claims { signed.claims }

  fileprivate init(_ signed: Signed<Claims>, _ attestation: VerifiedAttestation) {
    self.signed = signed
    self.attestation = attestation
  }
}

extension AttestationVerifier {
  /// The statement as an enclave's word (protocol §1): chain, one listed image as a whole, `user_data` equal to the
  /// statement's binding, `nonce` and `public_key` null.
  ///
  /// - Throws: ``AttestationRefusal``.
  package func attested<Claims>(
    _ unattested: Unattested<Claims>, measurements: [MeasurementTuple], at moment: Moment = .documentTime
  ) throws(AttestationRefusal) -> Attested<Claims> {
    let attestation = try verify(
      UnverifiedAttestation(unattested.document), at: moment, measurements: measurements,
      userData: .exactly(unattested.binding), nonce: .absent, publicKey: .absent)
    return Attested(unattested.signed, attestation)
  }
}
