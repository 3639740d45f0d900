import Inference
import Wire

/// Nearest neighbours by cosine among the embeddings of a result: a look at whether they make sense.
package struct Neighbours: Sendable {
  /// One document and those nearest to it, nearest first.
  package struct Group: Sendable {
    package let id: String
    package let nearest: [(id: String, cosine: Float)]
  }

  /// Embeddings that are held at once.
  package static let limit = 100_000
  private var ids: [String] = []
  private var vectors: [[Float]] = []

  /// Reads an `output.jsonl`.
  ///
  /// - Throws: ``ClientError`` of kind `input` for other files and over ``limit`` embeddings.
  package init(outputFile path: String) throws {
    let lines = ResultLines(try OpenedFile(reading: path), name: path)
    while let line = try lines.next() {
      let output: OutputLine
      do {
        output = try OutputLine(parsing: line)
      } catch {
        throw ClientError(.input, "\(path): \(error)", remedy: "name the output.jsonl of `ephemeral results get`")
      }
      guard case .embedding(let embedding) = output else { continue }
      guard ids.count < Self.limit else {
        throw ClientError(.input, "\(path): more than \(Self.limit) embeddings", remedy: "use numpy on --format npy")
      }
      guard vectors.first.map({ $0.count == embedding.embedding.count }) ?? true else {
        throw ClientError(.input, "\(path): embeddings of several lengths", remedy: "name one model's results")
      }
      ids.append(embedding.customID)
      vectors.append(Self.normalized(embedding.embedding))
    }
  }

  /// How many embeddings there are.
  package var count: Int { ids.count }

  /// Groups for `documents` documents spread evenly over the file, or for those named.
  package func groups(documents: Int, named: [String] = [], nearest: Int) throws -> [Group] {
    let chosen: [Int]
    if named.isEmpty {
      let count = min(max(documents, 0), ids.count)
      chosen = (0..<count).map { ($0 * 2 + 1) * ids.count / (count * 2) }
    } else {
      chosen = try named.map { name in
        guard let index = ids.firstIndex(of: name) else {
          throw ClientError(.notFound, "no result has the id \(name.prefix(80))", remedy: "check the id")
        }
        return index
      }
    }
    return chosen.map { index in
      let scored = ids.indices.filter { $0 != index }.map { (index: $0, cosine: Self.dot(vectors[$0], vectors[index])) }
      let best = scored.sorted { ($0.cosine, $1.index) > ($1.cosine, $0.index) }.prefix(max(nearest, 0))
      return Group(id: ids[index], nearest: best.map { (ids[$0.index], $0.cosine) })
    }
  }

  private static func normalized(_ vector: [Float]) -> [Float] {
    let length = dot(vector, vector).squareRoot()
    return length > 0 ? vector.map { $0 / length } : vector
  }

  private static func dot(_ left: [Float], _ right: [Float]) -> Float {
    zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
  }
}
