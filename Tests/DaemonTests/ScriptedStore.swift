import Foundation
import ObjectStore
import Synchronization
import Wire

/// A directory store whose writes, removals and listings fail or hang when a test says so.
final class ScriptedStore: ObjectStore {
  /// What happens to a call.
  enum Fate: Sendable {
    case works
    case fails
    /// Returns when the fate changes.
    case hangs
  }

  private struct State {
    var fate: Fate = .works
    var failingKeys: [String] = []
    var struck = 0
  }

  private let inner: DirectoryStore
  private let state = Mutex(State())

  init(folder: String) throws { inner = try DirectoryStore(path: folder, create: true) }

  /// What happens to calls from now on.
  func turn(_ fate: Fate) { state.withLock { $0.fate = fate } }

  /// The next write of a key that ends so fails.
  func failOnce(_ suffix: String) { state.withLock { $0.failingKeys.append(suffix) } }

  /// Calls that failed or hung so far.
  var struck: Int { state.withLock { $0.struck } }

  private func strike(_ key: String) throws {
    let (fate, isNamed) = state.withLock { state in
      let named = state.failingKeys.firstIndex { key.hasSuffix($0) }
      if let named { state.failingKeys.remove(at: named) }
      if named != nil || state.fate != .works { state.struck += 1 }
      return (state.fate, named != nil)
    }
    if case .hangs = fate { while case .hangs = state.withLock({ $0.fate }) { usleep(2000) } }
    if isNamed || fate == .fails { throw ObjectStoreError(.retryable, "PUT \(key)", "away", mend: "wait") }
  }

  var location: String { inner.location }
  func head(_ key: ObjectKey) throws -> ObjectInfo? { try inner.head(key) }
  func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader { try inner.read(key, range: range) }
  func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] { try inner.getSmall(key, limit: limit) }
  func openWriter(_ key: ObjectKey) throws -> any ObjectWriter { try inner.openWriter(key) }
  func delete(_ key: ObjectKey) throws {
    try strike(key.text)
    try inner.delete(key)
  }

  func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome {
    try strike(key.text)
    return try inner.put(key, bytes, condition)
  }

  func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    try strike(prefix)
    return try inner.list(prefix: prefix, after: after, limit: limit)
  }
}

extension ObjectStore {
  /// The keys under a prefix.
  func names(under prefix: String) throws -> [String] {
    var names: [String] = []
    try forEach(prefix: prefix) { info in
      names.append(String(info.key.text.dropFirst(prefix.count)))
      return true
    }
    return names
  }
}
