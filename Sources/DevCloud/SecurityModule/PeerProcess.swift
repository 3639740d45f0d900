import Glibc
import Wire

/// One run of one program, as the kernel names it: a process id alone is used again, and exec keeps it.
struct PeerProcess: Hashable, Sendable {
  let pid: Int32
  /// Clock ticks after the machine's boot (proc(5), field 22 of `stat`).
  let startTicks: UInt64
  private let device: UInt64
  private let inode: UInt64
  private let modifiedSeconds: Int64
  private let modifiedNanoseconds: Int64

  /// - Throws: ``StateError`` when there is no such process or it may not be looked at.
  init(pid: Int32) throws {
    guard pid > 0 else { throw StateError.unusable("peer", "is a process outside this process namespace") }
    self.pid = pid
    let status = String(decoding: try StateDirectory.readFile("/proc/\(pid)/stat", limit: 8192), as: UTF8.self)
    // The second field is the program's name in parentheses and may hold anything, so fields are counted after the
    // last parenthesis: the first of them is field 3.
    let fields = status[(status.lastIndex(of: ")").map { status.index(after: $0) } ?? status.startIndex)...].split(
      separator: " ")
    guard fields.count > 19, let ticks = UInt64(fields[19]) else {
      throw StateError.malformed("/proc/\(pid)/stat", "has no start time")
    }
    startTicks = ticks
    var info = stat()
    guard stat("/proc/\(pid)/exe", &info) == 0 else {
      throw StateError.unusable("/proc/\(pid)/exe", String(cString: strerror(errno)))
    }
    device = UInt64(info.st_dev)
    inode = UInt64(info.st_ino)
    modifiedSeconds = Int64(info.st_mtim.tv_sec)
    modifiedNanoseconds = Int64(info.st_mtim.tv_nsec)
  }

  /// Whether this very run of the program is still there.
  var isAlive: Bool { (try? PeerProcess(pid: pid)) == self }

  /// Reads the measurements of the running program: its executable through `/proc`, so that a file replaced since then
  /// changes nothing, and the directory that it was given as `--image`.
  ///
  /// - Throws: ``StateError``.
  func measure() throws -> ImageMeasurement {
    try ImageMeasurement(executable: "/proc/\(pid)/exe", imageDirectory: try imageDirectory())
  }

  private func imageDirectory() throws -> String? {
    let commandLine = try StateDirectory.readFile("/proc/\(pid)/cmdline", limit: 256 << 10)
    let arguments = commandLine.split(separator: 0, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    guard let image = try Self.imageArgument(arguments) else { return nil }
    return image.hasPrefix("/") ? image : "/proc/\(pid)/cwd/\(image)"
  }

  /// The value of `--image DIR` or `--image=DIR`.
  ///
  /// - Throws: ``StateError/malformed(_:_:)`` when there are two, of which the program may have taken either.
  static func imageArgument(_ arguments: [String]) throws -> String? {
    var found: [String] = []
    for (index, argument) in arguments.enumerated() {
      if argument.hasPrefix("--image=") { found.append(String(argument.dropFirst(8))) }
      if argument == "--image", index + 1 < arguments.count { found.append(arguments[index + 1]) }
    }
    guard found.count <= 1 else { throw StateError.malformed("command line", "names more than one --image") }
    return found.first
  }
}
