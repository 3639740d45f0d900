import Glibc
import Wire

/// One file of a folder of documents, open for reading; what has its name meanwhile does not matter.
struct TextFile {
  /// What a file turned out to be.
  enum Content {
    /// UTF-8 text without a byte order mark.
    case text([UInt8])
    /// Why it is no document.
    case left(String)
  }

  private let file: OpenedFile

  /// Opens it without following a link and without waiting for a FIFO's writer; nil when it cannot be read.
  init?(path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    file = OpenedFile(descriptor: descriptor, path: path)
  }

  /// Size and times as the system has them now.
  func stamp() throws -> DocumentStamp { DocumentStamp(try file.status()) }

  /// Reads all of it, at most a line's worth.
  func content() throws -> Content {
    let status = try file.status()
    guard status.st_mode & S_IFMT == S_IFREG else { return .left("not a regular file") }
    guard status.st_size > 0 else { return .left("empty") }
    let head = try file.read(upTo: 4096)
    if let reason = Self.notText(head) { return .left(reason) }
    guard status.st_size <= Limits.inputLineBytes else {
      return .left("larger than \(Limits.inputLineBytes >> 20) MiB")
    }
    var bytes = head
    while bytes.count <= Limits.inputLineBytes {
      let piece = try file.read(upTo: 1 << 18)
      if piece.isEmpty { break }
      bytes += piece
    }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    guard String(validating: bytes, as: UTF8.self) != nil else { return .left("not UTF-8 text") }
    if bytes.contains(0) { return .left("not text") }
    guard bytes.contains(where: { $0 > 0x20 }) else { return .left("empty") }
    return .text(bytes)
  }

  /// Why the beginning of a file shows that it is no text; nil when it may be.
  private static func notText(_ head: [UInt8]) -> String? {
    if head.contains(0) { return "not text" }
    let controls = head.count(where: { $0 < 0x20 && ![0x09, 0x0A, 0x0C, 0x0D, 0x1B].contains($0) })
    return controls * 20 > head.count ? "not text" : nil
  }
}

/// By what a file that was not touched is known again. Times are nanoseconds since 1970.
struct DocumentStamp: Hashable, Sendable {
  var size: UInt64
  var modifiedNs: UInt64
  /// Of the inode: it cannot be set back, as the other one can.
  var changedNs: UInt64
  var inode: UInt64
}

extension DocumentStamp {
  init(_ status: stat) {
    size = UInt64(clamping: status.st_size)
    modifiedNs = Self.nanoseconds(status.st_mtim)
    changedNs = Self.nanoseconds(status.st_ctim)
    inode = UInt64(status.st_ino)
  }

  private static func nanoseconds(_ time: timespec) -> UInt64 {
    UInt64(clamping: time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000).partialValue
      &+ UInt64(clamping: time.tv_nsec)
  }
}
