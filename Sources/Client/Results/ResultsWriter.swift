import Glibc
import Inference
import SealedCrypto
import Wire

/// How results are written.
package enum ResultsFormat: String, Sendable, CaseIterable {
  /// `output.jsonl` and, where items failed, `errors.jsonl`: OpenAI's batch output.
  case jsonl
  /// `embeddings.npy` with a row for each item, `ids.jsonl` with its id on the same line, `errors.jsonl`.
  case npy
  /// Made texts as files, one for each item, with `texts.jsonl` as their list, and `errors.jsonl`.
  case text
}

/// Writes verified results into a folder that appears whole or not at all.
package struct ResultsWriter {
  private let results: OpenedResults
  private let receipt: [UInt8]

  /// Takes results that verified, which is the only kind there is.
  package init(_ results: OpenedResults, receipt: [UInt8]) {
    self.results = results
    self.receipt = receipt
  }

  /// The names that this program writes; a folder with others in it is never replaced.
  private static let names: Set<String> = [
    "output.jsonl", "errors.jsonl", "embeddings.npy", "ids.jsonl", "fault.txt", "receipt.cose", TextFiles.folder,
    TextFiles.index,
  ]

  /// Whether there is output to use. What a failed or refused job computed before its end would look whole and is not.
  package var hasOutput: Bool { results.outcome == .completed || results.outcome == .partial }

  /// Writes the folder `path`. Of a failed or refused job only the receipt, why, and the items' errors are written.
  ///
  /// - Parameter replacing: puts it in the place of an older folder of results.
  /// - Returns: the names written.
  @discardableResult
  package func write(_ format: ResultsFormat, to path: String, replacing: Bool) throws -> [String] {
    if let isDirectory = try PrivateFiles.isDirectory(path) {
      guard isDirectory else {
        throw ClientError(.usage, "\(path) is a link or a file, no folder", remedy: "name another folder")
      }
      guard replacing else {
        throw ClientError(.usage, "\(path) is there already", remedy: "name another folder, or pass --force")
      }
      guard try PrivateFiles.names(in: path).allSatisfy({ Self.names.contains($0) }), try TextFiles.areAll(in: path)
      else {
        throw ClientError(.usage, "\(path) holds other files than results", remedy: "name another folder")
      }
    }
    let mark = Hex.encode(Random.bytes(6))
    let (partial, old) = ("\(path).partial-\(mark)", "\(path).old-\(mark)")
    try PrivateFiles.makeDirectory(partial)
    do {
      switch format {
      case .jsonl where hasOutput: try writeLines(.output, to: "\(partial)/output.jsonl")
      case .npy where hasOutput: try writeArray(partial)
      case .text where hasOutput: try writeTexts(partial)
      case .jsonl, .npy, .text: break
      }
      if let fault = results.trailer.fault {
        try PrivateFiles.write(Array(fault.utf8) + [0x0A], to: "\(partial)/fault.txt")
      }
      if results.recomputed.failed > 0 { try writeLines(.errors, to: "\(partial)/errors.jsonl") }
      try PrivateFiles.write(receipt, to: "\(partial)/receipt.cose")
      try replace(path, by: partial, old)
    } catch {
      PrivateFiles.removeTree(partial)
      throw error
    }
    return try PrivateFiles.names(in: path)
  }

  /// The old folder goes aside and away only once the new one stands in its place; a rename follows no link.
  private func replace(_ path: String, by partial: String, _ old: String) throws {
    let isReplaced = try PrivateFiles.isDirectory(path) == true
    if isReplaced { try PrivateFiles.renameDirectory(path, to: old) }
    do {
      try PrivateFiles.renameDirectory(partial, to: path)
    } catch {
      if isReplaced { try? PrivateFiles.renameDirectory(old, to: path) }
      throw error
    }
    if isReplaced { PrivateFiles.removeTree(old) }
  }

  /// Writes the output lines to a stream; none of a failed or refused job.
  package func writeOutput(to sink: any ByteSink) throws {
    guard hasOutput else { return }
    try results.forEachLine(.output) { try sink.write($0 + [0x0A]) }
  }

  private func writeLines(_ file: ResultFile, to path: String) throws {
    let output = BufferedSink(try OpenedFile(creating: path))
    try results.forEachLine(file) { try output.write($0 + [0x0A]) }
    try output.finish()
  }

  private func writeTexts(_ directory: String) throws {
    var files = try TextFiles(in: directory)
    try results.forEachLine(.output) { line in
      guard case .completion(let completion) = try OutputLine(parsing: line) else {
        throw ClientError(.invalid, "an output line holds no text", remedy: "use --format jsonl")
      }
      try files.add(completion)
    }
    try files.finish()
  }

  private func writeArray(_ directory: String) throws {
    let array = BufferedSink(try OpenedFile(creating: "\(directory)/embeddings.npy"))
    let ids = BufferedSink(try OpenedFile(creating: "\(directory)/ids.jsonl"))
    let rows = results.recomputed.count - results.recomputed.failed
    var columns: Int?
    try results.forEachLine(.output) { line in
      guard case .embedding(let embedding) = try OutputLine(parsing: line) else {
        throw ClientError(.invalid, "an output line holds no embedding", remedy: "use --format jsonl")
      }
      if columns == nil { try array.write(NumpyArray.header(rows: rows, columns: embedding.embedding.count)) }
      guard embedding.embedding.count == columns ?? embedding.embedding.count else {
        throw ClientError(.invalid, "embeddings of several lengths", remedy: "use --format jsonl")
      }
      columns = embedding.embedding.count
      try array.write(NumpyArray.row(embedding.embedding))
      try ids.write(JSONLine.string(embedding.customID) + [0x0A])
    }
    if columns == nil { try array.write(NumpyArray.header(rows: 0, columns: 0)) }
    try array.finish()
    try ids.finish()
  }
}

/// Collects small writes.
final class BufferedSink: ByteSink {
  private let file: OpenedFile
  private var buffer: [UInt8] = []

  init(_ file: OpenedFile) { self.file = file }

  func write(_ bytes: [UInt8]) throws {
    buffer += bytes
    if buffer.count >= 1 << 18 { try flush() }
  }

  /// Writes the rest and makes it durable.
  func finish() throws {
    try flush()
    try file.sync()
  }

  private func flush() throws {
    try file.write(buffer)
    buffer.removeAll(keepingCapacity: true)
  }
}
