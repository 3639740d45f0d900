import Glibc
import Synchronization

/// What stands in the way of reading or writing devcloud's state. All of them stop the command.
enum StateError: Error, Equatable, CustomStringConvertible {
  /// There is no state in this directory yet.
  case notInitialised(String)
  /// A file that is there but is not what it should be.
  case malformed(String, String)
  /// The system's reason for a file that could not be read or written.
  case unusable(String, String)

  var description: String {
    switch self {
    case .notInitialised(let path): "\(path) holds no devcloud state: run `devcloud init --state \(path)` first"
    case .malformed(let file, let reason): "\(file): \(reason)"
    case .unusable(let file, let reason): "\(file): \(reason)"
    }
  }
}

/// The directory on disk that holds everything devcloud knows between two starts.
///
/// Files are written whole beside their place, synced and renamed, so a reader sees the old content or the new one.
/// Everything is for the owner alone; what is public anyway (certificates, policies, key names) is readable by others.
struct StateDirectory: Sendable {
  /// Who may read a file.
  enum Access: mode_t {
    case owner = 0o600
    case everyone = 0o644
  }

  /// The largest file that is ever read.
  static let fileBytes = 256 << 10

  let path: String

  /// The full path of a file of this state.
  func path(of name: String) -> String { path + "/" + name }

  /// Whether a file is there.
  func contains(_ name: String) -> Bool { Glibc.access(path(of: name), F_OK) == 0 }

  /// Makes the directory, or one below it, with mode 0700.
  ///
  /// - Throws: ``StateError/unusable(_:_:)``.
  func makeDirectory(_ name: String = "") throws {
    let place = name.isEmpty ? path : path(of: name)
    if mkdir(place, 0o700) != 0, errno != EEXIST { throw Self.failure(place) }
  }

  /// - Throws: ``StateError`` when the file cannot be read or is over ``fileBytes``.
  func read(_ name: String) throws -> [UInt8] { try Self.readFile(path(of: name), limit: Self.fileBytes) }

  /// The content of a file as UTF-8.
  ///
  /// - Throws: ``StateError``.
  func readText(_ name: String) throws -> String {
    guard let text = String(validating: try read(name), as: UTF8.self) else {
      throw StateError.malformed(path(of: name), "is not UTF-8")
    }
    return text
  }

  /// Replaces a file in one step.
  ///
  /// - Throws: ``StateError/unusable(_:_:)``; the old file is then as it was.
  func write(_ name: String, _ bytes: [UInt8], access: Access) throws {
    let place = path(of: name)
    let beside = "\(place).\(getpid()).\(Self.nextSuffix()).new"
    let descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, access.rawValue)
    guard descriptor >= 0 else { throw Self.failure(place) }
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      written += count
    }
    // fchmod, since the mode given to open is subject to the umask.
    let sound = written == bytes.count && fchmod(descriptor, access.rawValue) == 0 && fsync(descriptor) == 0
    let failure = Self.failure(place)
    close(descriptor)
    guard sound else {
      unlink(beside)
      throw failure
    }
    guard rename(beside, place) == 0 else {
      let failure = Self.failure(place)
      unlink(beside)
      throw failure
    }
    syncDirectory(of: place)
  }

  private func syncDirectory(of place: String) {
    let parent = place.lastIndex(of: "/").map { String(place[..<$0]) } ?? "."
    let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  private static let suffixes = Atomic<UInt64>(0)
  private static func nextSuffix() -> UInt64 { suffixes.wrappingAdd(1, ordering: .relaxed).newValue }

  private static func failure(_ place: String) -> StateError {
    .unusable(place, String(cString: strerror(errno)))
  }

  /// Reads a whole file of at most `limit` bytes.
  ///
  /// - Throws: ``StateError/unusable(_:_:)``.
  static func readFile(_ place: String, limit: Int, flags: Int32 = 0) throws -> [UInt8] {
    let descriptor = open(place, O_RDONLY | O_CLOEXEC | flags)
    guard descriptor >= 0 else { throw failure(place) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw failure(place) }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
      guard bytes.count <= limit else { throw StateError.unusable(place, "has more than \(limit) bytes") }
    }
  }
}
