import FoundationEssentials
import X509

/// One question that a document must answer. Each takes what it compares as a parameter, the time too.
protocol AttestationPolicy: Sendable {
  /// What is asked, for reports.
  var name: String { get }
  /// - Throws: ``AttestationRefusal`` with the reason and the place.
  func check(_ candidate: AttestationCandidate) throws(AttestationRefusal)
}

/// A document under examination: its fields, its certificates parsed, and the time at which it is judged.
struct AttestationCandidate: Sendable {
  let document: AttestationDocument
  /// `cabundle` without its first element: the root is the verifier's own, whatever the document brings.
  let intermediates: [Certificate]
  let leaf: Certificate
  /// Milliseconds since 1970.
  let momentMs: UInt64

  init(_ document: AttestationDocument, at moment: AttestationVerifier.Moment) throws(AttestationRefusal) {
    self.document = document
    var intermediates: [Certificate] = []
    for (index, der) in document.bundle.enumerated().dropFirst() {
      intermediates.append(try Self.certificate(der, "cabundle[\(index)]"))
    }
    self.intermediates = intermediates
    leaf = try Self.certificate(document.certificate, "certificate")
    momentMs =
      switch moment {
      case .documentTime: document.timeMs
      case .at(let ms): ms
      }
  }

  private static func certificate(_ der: [UInt8], _ place: String) throws(AttestationRefusal) -> Certificate {
    try AttestationRefusal.wrapping(.certificate, place) { try Certificate(derEncoded: der) }
  }

  /// The path from the pinned root to the leaf, each with the place that names it.
  func path(from root: Certificate) -> [(place: String, certificate: Certificate)] {
    let issuers = intermediates.enumerated().map { (place: "cabundle[\($0.offset + 1)]", certificate: $0.element) }
    return [(place: "pinned root", certificate: root)] + issuers + [(place: "certificate", certificate: leaf)]
  }

  /// The time at which the document is judged.
  var moment: Date { Date(timeIntervalSince1970: Double(momentMs) / 1000) }
}
