import FoundationEssentials
import X509

/// One question that a document must answer. Each takes what it compares as a parameter, the time too.
protocol AttestationPolicy: Sendable {
  /// What is asked, for reports.
  var name: String { get }
  /// - Throws: ``AttestationRefusal`` with the reason and the place.
  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal)
}

/// A document under examination, and the time at which it is judged.
struct AttestationCandidate: Sendable {
  let document: AttestationDocument
  /// Milliseconds since 1970.
  let momentMs: UInt64

  init(_ document: AttestationDocument, at moment: AttestationVerifier.Moment) {
    self.document = document
    momentMs =
      switch moment {
      case .documentTime: document.fields.timeMs
      case .at(let ms): ms
      }
  }

  /// The time at which the document is judged.
  var moment: Date { Date(timeIntervalSince1970: Double(momentMs) / 1000) }
}

/// The certificates of a signed document, parsed: from the pinned root to the leaf, in the document's own order.
struct CertificatePath: Sendable {
  /// A certificate, and the place that names it in refusals.
  typealias Link = (place: String, certificate: Certificate)

  let links: [Link]
  let leaf: Certificate

  /// The first certificate of `cabundle` is not looked at: the root is the verifier's own, whatever the document brings.
  init(from root: TrustAnchor.Root, of document: AttestationDocument) throws(AttestationRefusal) {
    var links: [Link] = [(place: "pinned root", certificate: root.certificate)]
    for (index, der) in document.bundle.enumerated().dropFirst() {
      links.append((place: "cabundle[\(index)]", certificate: try Self.certificate(der, "cabundle[\(index)]")))
    }
    leaf = try Self.certificate(document.certificate, "certificate")
    self.links = links + [(place: "certificate", certificate: leaf)]
  }

  private static func certificate(_ der: [UInt8], _ place: String) throws(AttestationRefusal) -> Certificate {
    try AttestationRefusal.wrapping(.certificate, place) { try Certificate(derEncoded: der) }
  }
}
