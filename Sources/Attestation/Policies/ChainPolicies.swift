import FoundationEssentials
import SwiftASN1
import Wire
import X509

// The path is the one that the document states, in its order: nothing is searched for, so there is no path building to
// get wrong. X509's own `Verifier` would also leave keyUsage unenforced and take a root as a chain of one.

/// Each certificate names the one before as its issuer and is signed by it, from the pinned root down to the leaf.
struct AnchoredPathPolicy: AttestationPolicy {
  let path: CertificatePath
  let anchor: TrustAnchor
  let name = "chain of signatures to the root"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    for (issuer, subject) in zip(path.links, path.links.dropFirst()) {
      guard subject.certificate.signatureAlgorithm == .ecdsaWithSHA384 else {
        throw AttestationRefusal(.certificate, subject.place, "not signed with ECDSA and SHA-384")
      }
      guard subject.certificate.issuer == issuer.certificate.subject,
        issuer.certificate.publicKey.isValidSignature(subject.certificate.signature, for: subject.certificate)
      else { throw unsigned(subject.place, by: issuer.place, candidate) }
    }
  }

  /// A document that brings another root gets that as its reason: the profile is the wrong one.
  private func unsigned(_ place: String, by issuer: String, _ candidate: AttestationCandidate) -> AttestationRefusal {
    let brought = candidate.document.bundle.first.flatMap { try? Certificate(derEncoded: $0).sha256() }
    if issuer == "pinned root", brought != anchor.rootSHA256 {
      let kind = anchor.evidenceClass.rawValue
      return AttestationRefusal(.wrongRoot, "cabundle[0]", "the chain begins at another root than \(kind)'s")
    }
    return AttestationRefusal(.brokenChain, place, "not issued by \(issuer)")
  }
}

/// Every certificate, the root too, is within its dates at the time of judgement.
struct CertificateDatesPolicy: AttestationPolicy {
  let path: CertificatePath
  let name = "certificates valid at the time"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    let moment = candidate.moment
    for (place, certificate) in path.links {
      guard certificate.notValidBefore <= moment else {
        throw AttestationRefusal(
          .notValidAtTime, place, "not valid before \(certificate.notValidBefore.formatted(.iso8601))")
      }
      guard moment <= certificate.notValidAfter else {
        throw AttestationRefusal(.notValidAtTime, place, "expired at \(certificate.notValidAfter.formatted(.iso8601))")
      }
    }
  }
}

/// Issuers are authorities within their path lengths and may sign certificates; the leaf is none and may sign data
/// (RFC 5280 §4.2.1.3, §4.2.1.9). Critical extensions that are not read here are refused.
struct CertificateRolesPolicy: AttestationPolicy {
  let path: CertificatePath
  let name = "certificate roles"

  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal) {
    for (index, (place, certificate)) in path.links.enumerated() {
      try checkExtensions(certificate, place)
      let isLeaf = index == path.links.count - 1
      // Authorities that stand between this one and the leaf.
      let below = path.links.count - 2 - index
      switch try constraints(certificate, place) {
      case .isCertificateAuthority(let length) where !isLeaf:
        guard length.map({ below <= $0 }) ?? true else {
          throw AttestationRefusal(.basicConstraints, place, "\(below) authorities below it, over its path length")
        }
      case .notCertificateAuthority where isLeaf, nil where isLeaf: break
      default: throw AttestationRefusal(.basicConstraints, place, isLeaf ? "is an authority" : "is no authority")
      }
      try checkUsage(certificate, place, isLeaf)
    }
  }

  private func checkUsage(_ certificate: Certificate, _ place: String, _ isLeaf: Bool) throws(AttestationRefusal) {
    let usage = try AttestationRefusal.wrapping(.certificate, place) { try certificate.extensions.keyUsage }
    guard let usage else { throw AttestationRefusal(.keyUsage, place, "no key usage") }
    guard isLeaf ? usage.digitalSignature : usage.keyCertSign else {
      throw AttestationRefusal(.keyUsage, place, isLeaf ? "may not sign data" : "may not sign certificates")
    }
  }

  private func constraints(
    _ certificate: Certificate, _ place: String
  ) throws(AttestationRefusal) -> BasicConstraints? {
    try AttestationRefusal.wrapping(.certificate, place) { try certificate.extensions.basicConstraints }
  }

  private func checkExtensions(_ certificate: Certificate, _ place: String) throws(AttestationRefusal) {
    guard certificate.version == .v3 else {
      throw AttestationRefusal(.certificate, place, "not an X.509 certificate of version 3")
    }
    let read: [ASN1ObjectIdentifier] = [.X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage]
    guard certificate.extensions.allSatisfy({ !$0.critical || read.contains($0.oid) }) else {
      throw AttestationRefusal(.certificate, place, "a critical extension that this program does not know")
    }
  }
}
