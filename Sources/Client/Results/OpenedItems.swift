import SealedCrypto
import Wire

/// The items of opened results, one after the other, each with its output or error line; one is held in memory.
final class OpenedItems {
  private let reader: ItemsReader
  private let outputs, errors: ResultLines?
  private var atEnd = false

  /// Each file from its beginning.
  init(_ items: any ByteSource, output: (any ByteSource)?, errors: (any ByteSource)?) throws {
    reader = ItemsReader(items)
    outputs = output.map { ResultLines($0, name: "output.jsonl") }
    self.errors = errors.map { ResultLines($0, name: "errors.jsonl") }
    // The head, which was read when the results were verified.
    _ = try reader.next()
  }

  /// The next item; nil at the end.
  ///
  /// - Throws: ``ClientError`` of kind `invalid`; what the files throw.
  func next() throws -> (record: ItemRecord, line: [UInt8])? {
    guard !atEnd, let item = try reader.next(), !ItemsTrailer.isTrailer(item) else {
      atEnd = true
      return nil
    }
    let record = try ItemRecord(item)
    guard let line = record.status == .ok ? try outputs?.next() : try errors?.next() else {
      throw OpenedResults.invalid("the line of item \(record.index) is missing")
    }
    return (record, line)
  }
}
