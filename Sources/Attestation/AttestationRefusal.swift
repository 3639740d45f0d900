import Crypto
import SwiftASN1
import Wire
import X509

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

  /// Runs `body` and gives what it throws this reason and place.
  static func wrapping<Value>(
    _ reason: Reason, _ place: String, _ body: () throws -> Value
  ) throws(AttestationRefusal) -> Value {
    do {
      return try body()
    } catch let refusal as AttestationRefusal {
      throw refusal
    } catch {
      throw AttestationRefusal(reason, place, words(for: error))
    }
  }

  /// The libraries' own descriptions name their source lines and are for their authors; these are for the reader.
  private static func words(for error: any Error) -> String {
    switch error {
    case let error as ASN1Error:
      switch error.code {
      case .invalidPEMDocument: return "not one certificate in PEM"
      case .truncatedASN1Field: return "not a certificate: the DER ends too early"
      case .unexpectedFieldType: return "not a certificate: a field of the DER is of another type than X.509 says"
      default: return "not a certificate: the DER is not well formed"
      }
    case let error as CertificateError:
      switch error.code {
      case .unsupportedSignatureAlgorithm: return "signed by an algorithm that this program does not know"
      case .unsupportedPublicKeyAlgorithm: return "holds a key of a kind that this program does not know"
      case .duplicateOID: return "has the same extension twice"
      default: return "not a certificate that this program can read"
      }
    case is CryptoKitError: return "holds a key that is no point of its curve"
    default: return "\(error)"
    }
  }
}
