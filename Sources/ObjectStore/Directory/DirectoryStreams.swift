import Glibc
import Wire

/// Reads a range of one file, which stays the same inode whatever happens to its name.
final class DirectoryReader: ObjectReader {
  private static let pieceBytes = 1 << 20

  let info: ObjectInfo
  private let file: OpenFile
  private let action: String
  private var left: UInt64

  init(file: OpenFile, info: ObjectInfo, range: Range<UInt64>, action: String) throws {
    self.file = file
    self.info = info
    self.action = action
    left = range.upperBound - range.lowerBound
    guard lseek(file.descriptor, off_t(range.lowerBound), SEEK_SET) >= 0 else { throw FileFault.error(action) }
  }

  func read(upTo count: Int) throws -> [UInt8] {
    let wanted = min(max(count, 0), Self.pieceBytes, Int(min(left, UInt64(Self.pieceBytes))))
    guard wanted > 0 else { return [] }
    let piece = try file.read(upTo: wanted, action)
    guard !piece.isEmpty else {
      throw ObjectStoreError(
        .conflict, action, "the file was cut short while it was read, \(left) bytes before its end",
        mend: "read it again; if it happens again, whoever writes here without this program must stop")
    }
    left -= UInt64(piece.count)
    return piece
  }
}

/// Writes a temporary file and moves it to its name.
final class DirectoryWriter: ObjectWriter {
  private(set) var count: UInt64 = 0
  private let root: OpenFile
  private let temporaries: OpenFile
  private let file: OpenFile
  private let temporaryName: String
  private let segments: [String]
  private let action: String
  private var isOpen = true

  init(root: OpenFile, temporaries: OpenFile, key: ObjectKey, action: String) throws {
    self.root = root
    self.temporaries = temporaries
    self.action = action
    segments = key.segments
    temporaryName = "\(getpid())-\(Hex.encode((0..<16).map { _ in UInt8.random(in: .min ... .max) }))"
    let descriptor = openat(
      temporaries.descriptor, temporaryName, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw FileFault.error(action) }
    file = OpenFile(descriptor)
  }

  deinit { abort() }

  func write(_ bytes: [UInt8]) throws {
    try requireOpen()
    do {
      try file.write(bytes, action)
    } catch {
      abort()
      throw error
    }
    count += UInt64(bytes.count)
  }

  func commit(_ condition: WriteCondition) throws -> PutOutcome {
    try requireOpen()
    // What remains under the temporary name is in any case not wanted.
    defer { abort() }
    try file.sync(action)
    guard let leaf = segments.last, let directory = try root.directory(segments.dropLast(), create: true, action) else {
      throw FileFault.error(action, ENOENT)
    }
    let outcome = try move(to: leaf, in: directory, condition)
    // Also for the loser: it goes on as if the winner's object were there to stay.
    try directory.sync(action)
    return outcome
  }

  func abort() {
    guard isOpen else { return }
    isOpen = false
    unlinkat(temporaries.descriptor, temporaryName, 0)
  }

  private func move(to leaf: String, in directory: OpenFile, _ condition: WriteCondition) throws -> PutOutcome {
    switch condition {
    case .always:
      guard renameat(temporaries.descriptor, temporaryName, directory.descriptor, leaf) == 0 else {
        throw FileFault.error(action)
      }
      isOpen = false
      return .written
    case .ifAbsent:
      if linkat(temporaries.descriptor, temporaryName, directory.descriptor, leaf, 0) == 0 { return .written }
      guard errno == EEXIST else { throw FileFault.error(action) }
      var status = stat()
      guard fstatat(directory.descriptor, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0,
        status.st_mode & S_IFMT == S_IFREG
      else { throw FileFault.error(action, EISDIR) }
      return .alreadyExists
    }
  }

  private func requireOpen() throws {
    guard isOpen else {
      throw ObjectStoreError(
        .invalid, action, "the writer has ended", mend: "report this: it is a fault in the program")
    }
  }
}
