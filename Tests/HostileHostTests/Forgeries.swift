import Attestation
import Client
import Foundation
import SealedCrypto
import TestSupport
import Testing
import Wire

/// What a host can forge: a statement under a key of its own, with an attestation document that it got hold of.
enum Forgery {
  /// COSE bytes whose signature by `key` holds and whose document is `document`, whatever that says.
  static func statement<Claims: AttestedClaims>(
    _ claims: Claims, signedBy key: SigningKey, document: [UInt8]
  ) throws -> [UInt8] {
    try Signed<Claims>.sign(claims, with: key) { _ in document }.bytes
  }

  /// The document in the unprotected header of a statement.
  static func document(of statement: [UInt8]) throws -> [UInt8] {
    let cose = try COSESign1(statement, tagging: .required, mode: .deterministic)
    guard case .bytes(let document) = cose.unprotected.first?.value else { throw TheatreError("no document") }
    return document
  }

  /// The same statement with another document beside it.
  static func statement(_ statement: [UInt8], withDocument document: [UInt8]) throws -> [UInt8] {
    let cose = try COSESign1(statement, tagging: .required, mode: .deterministic)
    return COSESign1(
      protected: cose.protected, unprotected: [CBOR.Pair(.text("attestation"), .bytes(document))],
      payload: cose.payload,
      signature: cose.signature
    ).encoded()
  }
}

/// An enclave of the host's own on the same machine: the hypervisor attests whatever it asks for, with the measurements
/// of the program that asked, which is this test.
struct RogueEnclave {
  let theatre: Theatre

  /// A genuine document with these contents.
  func document(userData: [UInt8]?, nonce: [UInt8]? = nil, publicKey: [UInt8]? = nil) throws -> [UInt8] {
    let channel = try Channel.connect(to: try Endpoint("unix:\(theatre.securityModule)"))
    let request = SecurityModuleRequest.attestation(userData: userData, nonce: nonce, publicKey: publicKey).encoded()
    try channel.write(Self.length(request.count) + request)
    let head = try channel.readExactly(4, "length")
    let count = head.reduce(0) { $0 << 8 | Int($1) }
    guard case .attestation(let document) = try SecurityModuleResponse(try channel.readExactly(count, "document"))
    else {
      throw TheatreError("the security module gave no document")
    }
    return document
  }

  static func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } }
}

/// Expects a refusal of the client, typed as evidence that is not accepted or bytes that do not verify, with a word on who
/// mends it.
func expectClientRefuses(
  _ what: @autoclosure () -> String, _ kinds: Set<ClientError.Kind> = [.rejected, .invalid],
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("accepted: \(what())", sourceLocation: sourceLocation)
  } catch let error as ClientError {
    #expect(kinds.contains(error.kind), "\(what()): \(error.kind): \(error)", sourceLocation: sourceLocation)
    #expect(!error.remedy.isEmpty, sourceLocation: sourceLocation)
  } catch {
    Issue.record("\(what()): not a refusal of the client: \(error)", sourceLocation: sourceLocation)
  }
}
