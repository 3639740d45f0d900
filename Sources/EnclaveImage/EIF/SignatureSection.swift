import SwiftASN1
import Wire

/// The signature section: CBOR, an array of maps {`signing_certificate`, `signature`}, both as arrays of small numbers;
/// the first map is PCR0's. The certificate is PEM, which the measurement's DER is taken from.
///
/// The signature itself is not verified here: PCR8 says who must have signed, and the hypervisor starts nothing else.
enum SignatureSection {
  private static let place = "signature section"

  /// DER of the first certificate.
  ///
  /// - Throws: ``ImageRefusal`` for anything that is not this shape.
  static func certificate(_ bytes: [UInt8]) throws -> [UInt8] {
    let item: CBOR
    do {
      item = try CBORDecoder.decode(bytes, mode: .lenient)
    } catch {
      throw ImageRefusal(place, "\(error)")
    }
    guard case .array(let signatures) = item, let first = signatures.first else {
      throw ImageRefusal(place, "not an array of signatures")
    }
    var pem: [UInt8]
    do {
      var fields = try CBORFields(first, in: place)
      pem = try fields.array("signing_certificate") { try byte($0) }
      _ = try fields.array("signature") { try byte($0) }
      try fields.finish()
    } catch let error as WireError {
      throw ImageRefusal(place, "\(error)")
    }
    // PEM as OpenSSL writes it from C may end in a NUL.
    while pem.last == 0 { pem.removeLast() }
    guard let text = String(validating: pem, as: UTF8.self) else { throw ImageRefusal(place, "PEM that is not text") }
    let der: [UInt8]
    do {
      guard let document = try PEMDocument.parseMultiple(pemString: text).first else {
        throw ImageRefusal(place, "no certificate in PEM")
      }
      guard document.discriminator == "CERTIFICATE" else {
        throw ImageRefusal(place, "PEM of something other than a certificate")
      }
      der = document.derBytes
      _ = try DER.parse(der)
    } catch let refusal as ImageRefusal {
      throw refusal
    } catch {
      throw ImageRefusal(place, "the certificate is not DER in PEM")
    }
    return der
  }

  private static func byte(_ item: CBOR) throws -> UInt8 {
    guard case .unsigned(let value) = item, let byte = UInt8(exactly: value) else {
      throw ImageRefusal(place, "an element that is not a byte")
    }
    return byte
  }
}
