import Glibc
import Synchronization
import Wire

/// A store in a directory: the embedded default, for one machine or a shared file system with hard links.
///
/// Invariants:
/// - an object is one regular file, written under a temporary name in the same file system, synced, and only then moved
///   to its own name by rename(2) or, for `.ifAbsent`, link(2), whose EEXIST makes exactly one winner of all processes;
///   its directory is synced before the write returns;
/// - temporary files lie in `.ephemeralml-tmp`, which no key can name and no listing enters;
/// - no symbolic link below the root is followed, so nothing in the store leads out of it.
///
/// Unlike S3 it cannot hold both `a` and `a/b`.
package final class DirectoryStore: ObjectStore {
  static let temporaryDirectory = ObjectKey.reservedPrefix + "tmp"
  /// A temporary file that nobody has written to for a day was left by a process that died.
  static let staleTemporarySeconds = 24 * 3600

  package let location: String
  let root: OpenFileBox
  private let swept = Mutex(false)

  /// - Parameters:
  ///   - path: the root; it may itself be a symbolic link.
  ///   - create: makes the directory when its parent is there. A client says false, so that a mistyped path is no store.
  /// - Throws: ``ObjectStoreError``.
  package init(path: String, create: Bool = false) throws {
    location = "file://" + path
    let action = "open \(location)"
    if create, mkdir(path, 0o777) != 0, errno != EEXIST { throw FileFault.error(action) }
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileFault.error(action) }
    root = OpenFileBox(OpenFile(descriptor))
  }

  package func head(_ key: ObjectKey) throws -> ObjectInfo? {
    try openObject(key, "stat \(name(key))")?.info
  }

  package func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader {
    let action = "read \(name(key))"
    let (file, info) = try existing(key, action)
    let range = try Self.resolve(range, of: info, action)
    return try DirectoryReader(file: file, info: info, range: range, action: action)
  }

  package func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] {
    let action = "read \(name(key))"
    let (file, info) = try existing(key, action)
    guard info.bytes <= UInt64(max(limit, 0)) else { throw SmallObject.tooLarge(action, limit: limit) }
    let reader = try DirectoryReader(file: file, info: info, range: 0..<info.bytes, action: action)
    return try reader.readExactly(Int(info.bytes), action)
  }

  package func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome {
    let writer = try openWriter(key)
    defer { writer.abort() }
    try writer.write(bytes)
    return try writer.commit(condition)
  }

  package func openWriter(_ key: ObjectKey) throws -> any ObjectWriter {
    let action = "write \(name(key))"
    let temporaries = try temporaries(action)
    sweepOnce(temporaries)
    return try DirectoryWriter(root: root.file, temporaries: temporaries, key: key, action: action)
  }

  package func delete(_ key: ObjectKey) throws {
    let action = "delete \(name(key))"
    let segments = key.segments
    guard let leaf = segments.last,
      let directory = try root.file.directory(segments.dropLast(), create: false, action)
    else { return }
    if unlinkat(directory.descriptor, leaf, 0) == 0 { return try directory.sync(action) }
    guard errno == ENOENT || errno == EISDIR else { throw FileFault.error(action) }
  }

  private func name(_ key: ObjectKey) -> String { "\(location)/\(key)" }

  private func existing(_ key: ObjectKey, _ action: String) throws -> (file: OpenFile, info: ObjectInfo) {
    guard let found = try openObject(key, action) else {
      throw ObjectStoreError(.notFound, action, "there is no such object", mend: "check the name")
    }
    return found
  }

  /// Opens a regular file; a directory is no object, as in S3. A symbolic link is refused.
  private func openObject(_ key: ObjectKey, _ action: String) throws -> (file: OpenFile, info: ObjectInfo)? {
    let segments = key.segments
    guard let leaf = segments.last,
      let directory = try root.file.directory(segments.dropLast(), create: false, action)
    else { return nil }
    // O_NONBLOCK: a FIFO that somebody put there must not hang us.
    let descriptor = openat(directory.descriptor, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw FileFault.error(action)
    }
    let file = OpenFile(descriptor)
    let status = try file.status(action)
    guard status.st_mode & S_IFMT == S_IFREG else { return nil }
    return (file, ObjectInfo(key, status))
  }

  private func temporaries(_ action: String) throws -> OpenFile {
    guard let directory = try root.file.directory([Self.temporaryDirectory], create: true, action) else {
      throw FileFault.error(action, ENOENT)
    }
    return directory
  }

  /// Removes what writers that died have left; failures do not matter, the next process tries again.
  private func sweepOnce(_ temporaries: OpenFile) {
    let first = swept.withLock { done in
      defer { done = true }
      return !done
    }
    guard first else { return }
    try? DirectoryEntries.forEach(temporaries, "sweep") { name, _ in
      guard let name = String(validating: name, as: UTF8.self) else { return }
      var status = stat()
      if fstatat(temporaries.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
        time(nil) - status.st_mtim.tv_sec > Self.staleTemporarySeconds
      {
        unlinkat(temporaries.descriptor, name, 0)
      }
    }
  }
}

/// The root's descriptor is only ever used with the `*at` calls, which any thread may make.
final class OpenFileBox: @unchecked Sendable {
  let file: OpenFile
  init(_ file: OpenFile) { self.file = file }
}

extension ObjectInfo {
  /// The version names the file: a rewritten object is another inode, and its change time is never set back.
  init(_ key: ObjectKey, _ status: stat) {
    self.init(
      key: key, bytes: UInt64(max(status.st_size, 0)),
      version: "\(status.st_ino)-\(status.st_size)-\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec)",
      modified: Int64(status.st_mtim.tv_sec))
  }
}

/// The refusal that both stores give for an object that should have been small.
enum SmallObject {
  static func tooLarge(_ action: String, limit: Int) -> ObjectStoreError {
    ObjectStoreError(
      .invalid, action, "the object is larger than the \(limit) bytes allowed here",
      mend: "whoever wrote it must replace it", by: .operator_)
  }
}
