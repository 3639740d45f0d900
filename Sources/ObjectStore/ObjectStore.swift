import Wire

/// Where bundles, results, models and statements lie: a directory (``DirectoryStore``) or S3 (``S3Store``), held to one
/// conformance suite. All calls block; a store may be used from several threads at once.
///
/// Invariants of every store:
/// - an object is whole or absent, never half-written, and durable once a write has returned;
/// - of any number of writers with ``WriteCondition/ifAbsent`` exactly one gets ``PutOutcome/written``;
/// - a reader gets exactly the bytes of one version, or an error: never silently fewer.
///
/// Stores are hostile (they may serve anything); what they hold is sealed or signed. Every failure is an
/// ``ObjectStoreError``.
package protocol ObjectStore: Sendable {
  /// Where this is, for people: no credentials in it.
  var location: String { get }

  /// Size and version of an object; nil when there is none.
  func head(_ key: ObjectKey) throws -> ObjectInfo?

  /// Opens an object, or a range of its bytes, for one pass; the version does not change under the reader.
  ///
  /// - Parameter range: within the object's bytes, or nil for all of them.
  /// - Throws: `notFound`, `invalid` for a range outside; while reading, `conflict` when the object was replaced.
  func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader

  /// A whole small object.
  ///
  /// - Parameter limit: more bytes than this are refused as `invalid`, and are not held.
  func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8]

  /// Writes a whole object at once.
  func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome

  /// Begins an object of unknown length; nothing is visible before its commit.
  func openWriter(_ key: ObjectKey) throws -> any ObjectWriter

  /// Objects whose keys begin with `prefix` (any text; it need not end at a slash), in byte order.
  ///
  /// - Parameters:
  ///   - after: only keys behind this one; give the last page's ``ObjectPage/next``.
  ///   - limit: at most so many entries, at least 1.
  func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage

  /// Removes an object; an absent one is no error.
  func delete(_ key: ObjectKey) throws
}

extension ObjectStore {
  /// The range that a reader of `info` yields.
  ///
  /// - Throws: ``ObjectStoreError`` of kind `invalid` for one that reaches over the end.
  static func resolve(_ range: Range<UInt64>?, of info: ObjectInfo, _ action: String) throws -> Range<UInt64> {
    guard let range else { return 0..<info.bytes }
    guard range.upperBound <= info.bytes else {
      throw ObjectStoreError(
        .invalid, action, "the range \(range) reaches over the end at \(info.bytes)", mend: "ask within the object")
    }
    return range
  }

  /// Opens a whole object for one pass.
  package func read(_ key: ObjectKey) throws -> any ObjectReader { try read(key, range: nil) }

  /// A whole small object of at most ``Limits/smallObjectBytes``.
  package func getSmall(_ key: ObjectKey) throws -> [UInt8] { try getSmall(key, limit: Limits.smallObjectBytes) }

  /// Calls `body` with every object under `prefix`, in byte order, page by page, until it returns false.
  package func forEach(prefix: String, _ body: (ObjectInfo) throws -> Bool) throws {
    var after: ObjectKey?
    repeat {
      let page = try list(prefix: prefix, after: after, limit: 1000)
      for entry in page.entries where try !body(entry) { return }
      if let next = page.next, let after, next <= after {
        throw ObjectStoreError(
          .invalid, "list \(location)/\(prefix)", "the listing does not advance behind \(after)",
          mend: "ask who runs the store", by: .operator_)
      }
      after = page.next
    } while after != nil
  }
}

/// What a store says of an object.
package struct ObjectInfo: Sendable, Equatable {
  package let key: ObjectKey
  package let bytes: UInt64
  /// Names this version; equal only to itself, means nothing else.
  package let version: String
  /// By the store's clock, seconds since 1970.
  package let modified: Int64
}

/// One page of a listing.
package struct ObjectPage: Sendable, Equatable {
  package let entries: [ObjectInfo]
  /// Where to go on; nil when this was the last page. A page that has it may have no entries.
  package let next: ObjectKey?
}

/// An open object.
package protocol ObjectReader: ByteSource {
  /// The version that is being read.
  var info: ObjectInfo { get }
}

/// An object that is being written. It is visible only once committed; a writer that threw, or was let go without a
/// commit, leaves nothing behind that is ever listed.
package protocol ObjectWriter: ByteSink {
  /// Bytes written so far.
  var count: UInt64 { get }
  /// Makes it visible, whole and durable, or finds (for `.ifAbsent`) that another was first. Called once, last.
  func commit(_ condition: WriteCondition) throws -> PutOutcome
  /// Gives up; harmless after a commit or a second time.
  func abort()
}

/// When a write may take place.
package enum WriteCondition: Sendable {
  /// Replaces what is there.
  case always
  /// Only when there is nothing yet: the exactly-once of commits and of enqueueing.
  case ifAbsent
}

/// How a conditional write ended.
package enum PutOutcome: Sendable, Equatable {
  /// This call's bytes are the object now.
  case written
  /// Another object was there before; nothing was changed.
  case alreadyExists
}
