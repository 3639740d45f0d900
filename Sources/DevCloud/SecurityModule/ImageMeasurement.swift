import Crypto
import Glibc
import Wire

/// What a development enclave is measured by: the worker's executable and the image directory that it was started with.
///
/// The registers have the form of real ones, PCR = SHA-384(48 zero bytes ‖ SHA-384(content)), over these contents:
/// - PCR0: `"ephemeralml-dev-image-v1\n"`, the worker line, then the file lines;
/// - PCR1: the worker line; PCR2: the file lines;
/// where the worker line is `"worker " + sha384hex + "\n"` and a file line `"file " + name + " " + sha384hex + "\n"`,
/// files in bytewise order of their names.
struct ImageMeasurement: Equatable, Sendable {
  /// A file of the image directory.
  struct File: Equatable, Sendable {
    let name: String
    /// SHA-384 of its content.
    let digest: [UInt8]
  }

  static let filesMax = 16
  static let fileBytesMax = 1 << 20

  let pcr0: [UInt8]
  let pcr1: [UInt8]
  let pcr2: [UInt8]

  /// - Parameter worker: SHA-384 of the executable.
  init(worker: [UInt8], files: [File]) {
    let workerLine = "worker \(Hex.encode(worker))\n"
    let fileLines =
      files.sorted { Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8)) }
      .map { "file \($0.name) \(Hex.encode($0.digest))\n" }.joined()
    pcr0 = Self.register(over: "ephemeralml-dev-image-v1\n" + workerLine + fileLines)
    pcr1 = Self.register(over: workerLine)
    pcr2 = Self.register(over: fileLines)
  }

  /// Measures files on disk. Without an image directory, as when a tool connects, there are no files.
  ///
  /// - Throws: ``StateError`` with the file and the reason.
  init(executable: String, imageDirectory: String?) throws {
    self.init(
      worker: try Self.digest(ofFile: executable), files: try imageDirectory.map(Self.files(inImage:)) ?? [])
  }

  /// SHA-384(48 zero bytes ‖ SHA-384(content)), as nitro-cli computes a register.
  static func register(over content: String) -> [UInt8] {
    Array(SHA384.hash(data: PCRBank.zero + Array(SHA384.hash(data: Array(content.utf8)))))
  }

  /// SHA-384 of a file of any size.
  ///
  /// - Throws: ``StateError/unusable(_:_:)``.
  static func digest(ofFile path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StateError.unusable(path, String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var hasher = SHA384()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw StateError.unusable(path, String(cString: strerror(errno))) }
      if count == 0 { return Array(hasher.finalize()) }
      buffer.withUnsafeBytes { hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
  }

  /// The files of an image directory: flat, at most ``filesMax`` of at most ``fileBytesMax`` bytes, no links.
  ///
  /// - Throws: ``StateError``.
  static func files(inImage directory: String) throws -> [File] {
    guard let stream = opendir(directory) else {
      throw StateError.unusable(directory, String(cString: strerror(errno)))
    }
    defer { closedir(stream) }
    var files: [File] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: $0.pointee)) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      let path = directory + "/" + name
      guard files.count < filesMax else {
        throw StateError.malformed(directory, "an image directory holds at most \(filesMax) files")
      }
      // The name stands in the measured text, so nothing that could forge a line of it.
      guard name.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
        throw StateError.malformed(directory, "a file name that is not printable ASCII without blanks")
      }
      var info = stat()
      guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
        throw StateError.malformed(path, "an image directory holds regular files only")
      }
      let bytes = try StateDirectory.readFile(path, limit: fileBytesMax, flags: O_NOFOLLOW)
      files.append(File(name: name, digest: Array(SHA384.hash(data: bytes))))
    }
    return files
  }
}
