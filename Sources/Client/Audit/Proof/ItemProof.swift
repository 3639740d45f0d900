import Attestation
import Crypto
import SealedCrypto
import Wire

/// One item of a job, provable to whoever holds the trust profile and nothing else: the receipt, the item's leaf, its
/// path to the receipt's Merkle root, and the lines that the prover chose to show.
///
/// It opens no other item: a sibling appears only as a hash over a salt that this file does not have. It does give away
/// what the leaf holds, the unsalted digests of *this* item's two lines, and whatever the receipt says.
package struct ItemProof: Sendable, Equatable {
  /// The receipt's COSE bytes.
  package let receipt: [UInt8]
  /// The leaf's bytes (docs/formats.md §5).
  package let leaf: [UInt8]
  package let path: MerklePath
  /// The input line without its newline, where it is disclosed.
  package let input: [UInt8]?
  /// The output or error line, likewise.
  package let output: [UInt8]?

  package init(receipt: [UInt8], leaf: [UInt8], path: MerklePath, input: [UInt8]?, output: [UInt8]?) {
    self.receipt = receipt
    self.leaf = leaf
    self.path = path
    self.input = input
    self.output = output
  }

  /// The largest proof: a receipt, an input line, an output line, and room for the rest.
  package static let limitBytes = Limits.smallObjectBytes + Limits.inputLineBytes + ResultLines.lineBytes + (4 << 10)

  package func encoded() -> [UInt8] {
    CBOR.object([
      ("v", .unsigned(1)), ("receipt", .bytes(receipt)), ("leaf", .bytes(leaf)),
      ("path", .array(path.siblings.map { .bytes($0.bytes) })), ("input", input.map { .bytes($0) }),
      ("output", output.map { .bytes($0) }),
    ]).encoded()
  }

  /// - Throws: ``WireError`` for bytes that are no proof.
  package init(decoding bytes: [UInt8]) throws {
    guard bytes.count <= Self.limitBytes else { throw WireError.tooLarge("item proof", limit: Self.limitBytes) }
    var fields = try CBORFields(try CBORDecoder.decode(bytes), in: "item proof")
    guard try fields.unsigned("v") == 1 else { throw WireError.malformed("item proof: unknown version") }
    receipt = try fields.bytes("receipt")
    leaf = try fields.bytes("leaf", limit: 256)
    path = MerklePath(
      siblings: try fields.array("path", limit: MerklePath.longest) { item in
        guard case .bytes(let hash) = item else { throw WireError.malformed("item proof: path") }
        return try ContentDigest(hash)
      })
    input = try fields.optionalBytes("input", limit: Limits.inputLineBytes)
    output = try fields.optionalBytes("output", limit: ResultLines.lineBytes)
    try fields.finish()
  }
}

/// What a leaf says.
package struct ItemLeaf: Sendable, Equatable {
  package let index: UInt64
  /// Items that the manifest declares.
  package let count: UInt64
  package let salt: [UInt8]
  /// SHA-256 of the input line without its newline.
  package let input: ContentDigest
  /// SHA-256 of the output or error line, likewise.
  package let output: ContentDigest
  package let status: ItemStatus

  /// - Throws: ``WireError`` for bytes that are no leaf.
  package init(decoding bytes: [UInt8]) throws {
    guard case .array(let parts) = try CBORDecoder.decode(bytes), parts.count == 6,
      case .unsigned(let index) = parts[0], case .unsigned(let count) = parts[1], case .bytes(let salt) = parts[2],
      case .bytes(let input) = parts[3], case .bytes(let output) = parts[4], case .unsigned(let status) = parts[5],
      salt.count == 32, index < count, let status = ItemStatus(rawValue: status)
    else { throw WireError.malformed("item proof: the leaf is none") }
    self.index = index
    self.count = count
    self.salt = salt
    self.input = try ContentDigest(input)
    self.output = try ContentDigest(output)
    self.status = status
  }
}

/// What a proof proves, once all of it held. Nothing but ``ItemProof/verified(by:)`` makes one.
package struct ProvenItem: Sendable {
  package let receipt: Attested<ReceiptClaims>
  /// What the receipt says of the job.
  package let job: ReceiptJob
  package let leaf: ItemLeaf
  /// The disclosed lines, which have the leaf's digests.
  package let input: [UInt8]?
  package let output: [UInt8]?
}

extension ItemProof {
  /// The receipt's verdict, and the item where everything holds.
  ///
  /// - Throws: ``ClientError`` of kind `invalid` for a leaf that is not in the receipt's tree, or lines that are not the
  ///   leaf's. A receipt that does not verify is no throw: the verdict says it, and there is no item.
  package func verified(by check: ReceiptCheck) throws -> (verdict: ReceiptVerdict, item: ProvenItem?) {
    guard let job = try? UnverifiedStatement<ReceiptClaims>(receipt).signedByItsOwnKey().signed.claims.bundle else {
      throw Self.invalid("what it carries is no receipt")
    }
    let verdict = check.verdict(receipt, expecting: ReceiptExpectation(job: job))
    guard let attested = verdict.receipt else { return (verdict, nil) }
    guard let named = attested.claims.job else { throw Self.invalid("its receipt binds no items") }
    let leaf = try ItemLeaf(decoding: self.leaf)
    guard leaf.index < named.items, path.root(of: self.leaf, at: leaf.index, in: named.items) == named.merkleRoot else {
      throw Self.invalid("the leaf is not in the receipt's Merkle tree")
    }
    for (line, digest, name) in [(input, leaf.input, "input"), (output, leaf.output, "output")] {
      guard let line else { continue }
      guard SHA256.digest(of: line) == digest else { throw Self.invalid("the \(name) shown is not the item's") }
    }
    return (verdict, ProvenItem(receipt: attested, job: named, leaf: leaf, input: input, output: output))
  }

  private static func invalid(_ reason: String) -> ClientError {
    ClientError(.invalid, "the item proof does not verify: \(reason)", remedy: "ask for another one, from the results")
  }
}
