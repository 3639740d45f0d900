import Wire

/// Why an attestation document, or a statement that rests on one, is not accepted: the reason by which a caller
/// decides, and the place and detail that a person reads.
package struct AttestationRefusal: Error, Equatable, CustomStringConvertible, Sendable {
  /// The reasons.
  package enum Reason: String, Sendable, CaseIterable {
    // Form
    case malformed
    case algorithm
    case header
    case field
    case nitroTPM = "nitrotpm"
    case digestAlgorithm = "digest-algorithm"
    case timestamp
    case missingPCR = "missing-pcr"
    case debugMode = "debug-mode"
    // Chain
    case certificate
    case wrongRoot = "wrong-root"
    case brokenChain = "broken-chain"
    case notValidAtTime = "not-valid-at-time"
    case basicConstraints = "basic-constraints"
    case keyUsage = "key-usage"
    case signature
    // What the caller demands
    case evidenceClass = "evidence-class"
    case measurements
    case userData = "user-data"
    case nonce
    case publicKey = "public-key"
    case stale
    // What a statement says beside its document
    case statement
    case policy
    case epoch
    case validity
  }

  /// By which a caller decides.
  package let reason: Reason
  /// The field or certificate, such as `cabundle[2]`.
  package let place: String
  /// What was found there; never secret, never unbounded.
  package let detail: String

  package init(_ reason: Reason, _ place: String, _ detail: String) {
    self.reason = reason
    self.place = place
    self.detail = detail
  }

  package var description: String { "\(place): \(detail) (\(reason.rawValue))" }

  /// Who can mend it.
  package var mender: String {
    switch reason {
    case .measurements:
      "the security officer (the policy lists other images) or the host's operator (another image is running)"
    case .policy: "the security officer"
    case .wrongRoot, .evidenceClass: "you (the trust profile names another class of evidence) or the host's operator"
    case .stale, .epoch, .validity, .notValidAtTime, .debugMode: "the host's operator"
    case .malformed, .algorithm, .header, .field, .nitroTPM, .digestAlgorithm, .timestamp, .missingPCR, .certificate,
      .brokenChain, .basicConstraints, .keyUsage, .signature, .userData, .nonce, .publicKey, .statement:
      "the host's operator; nothing that came with it should be trusted"
    }
  }

  /// Runs `body` and gives what it throws this reason and place.
  static func wrapping<Value>(
    _ reason: Reason, _ place: String, _ body: () throws -> Value
  ) throws(AttestationRefusal) -> Value {
    do {
      return try body()
    } catch let refusal as AttestationRefusal {
      throw refusal
    } catch {
      throw AttestationRefusal(reason, place, "\(error)")
    }
  }
}
