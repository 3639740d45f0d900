import Crypto
import Inference
import SealedCrypto
import Wire

/// Which item is to be proven.
package enum ItemChoice: Sendable, Equatable {
  /// The `custom_id` or `id` of its line.
  case id(String)
  /// Its place in the input, from 0.
  case index(UInt64)
}

/// Makes proofs of single items from results that verified.
package struct ItemProver {
  private let results: OpenedResults
  private let receipt: [UInt8]

  package init(_ results: OpenedResults, receipt: [UInt8]) {
    self.results = results
    self.receipt = receipt
  }

  /// The proof of one item.
  ///
  /// - Parameters:
  ///   - input: where the documents are, to disclose the item's; nil discloses no input.
  ///   - task: what was asked about each document, where lines were made of them.
  ///   - model: the model's name, which such lines have.
  ///   - disclosingOutput: puts the output or error line in.
  /// - Throws: ``ClientError`` of kind `notFound` for an item that is not there, and for an input that is another.
  package func prove(
    _ choice: ItemChoice, input: (any InputOrigin)?, task: DocumentTask? = nil, model: String = "",
    disclosingOutput: Bool
  ) throws -> ItemProof {
    let found = try find(choice)
    let claims = results.manifest.claims
    var builder = MerklePathBuilder(index: found.record.index, count: results.recomputed.count)
    try results.forEachItem { record, _ in
      builder.append(record.leaf(count: claims.inputItems, manifestSalt: claims.salt))
    }
    return ItemProof(
      receipt: receipt, leaf: found.record.leaf(count: claims.inputItems, manifestSalt: claims.salt),
      path: builder.path, input: try input.map { try line(of: found.record, in: $0, task, model) },
      output: disclosingOutput ? found.line : nil)
  }

  private func find(_ choice: ItemChoice) throws -> (record: ItemRecord, line: [UInt8]) {
    var found: (record: ItemRecord, line: [UInt8])?
    try results.forEachItem { record, line in
      let isIt =
        switch choice {
        case .index(let index): record.index == index
        case .id(let id): try OutputLine(parsing: line).customID == id
        }
      guard isIt else { return }
      guard found == nil else {
        throw ClientError(.usage, "two items have this id", remedy: "name one by its place, with --index")
      }
      found = (record, line)
    }
    guard let found else {
      throw ClientError(.notFound, "the job has no such item", remedy: "check the id, or name its place with --index")
    }
    return found
  }

  /// The line whose digest the leaf has: the same that was sealed, or none.
  private func line(
    of record: ItemRecord, in origin: any InputOrigin, _ task: DocumentTask?, _ model: String
  ) throws -> [UInt8] {
    let operation = ModelOperation(rawValue: results.manifest.claims.operation) ?? .embed
    var lines = CanonicalLines(origin.kind, LinePlan(operation: operation, task: task, model: model))
    var position: UInt64 = 0
    var found: [UInt8]?
    _ = try origin.forEach { piece in
      defer { position += 1 }
      guard found == nil, let line = try? lines.line(piece, position: position),
        SHA256.digest(of: line.bytes) == record.input
      else { return }
      found = line.bytes
    }
    guard let found else {
      throw ClientError(
        .notFound, "\(origin.name) does not hold this item as it was submitted",
        remedy: "name the folder or file that was submitted, unchanged and by the same name"
          + DocumentTask.reminder(operation))
    }
    return found
  }
}
