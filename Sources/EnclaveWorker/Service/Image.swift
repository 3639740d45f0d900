import Glibc
import SealedCrypto
import Wire

/// The directory that is measured with this program. Nothing else is read from disk, and no frame and no environment
/// variable sets any of it.
struct Image {
  /// What a document of this enclave is worth.
  enum EvidenceClass: String, CaseIterable {
    /// AWS Nitro hardware.
    case production
    /// `devcloud`'s own root.
    case development
    /// QEMU's machine: true measurements, no proof.
    case emulated
  }

  let evidenceClass: EvidenceClass
  /// Signs policies.
  let policyKey: VerifyingKey
  /// The only roots that KMS's certificate may chain to, in PEM.
  let kmsRoots: [UInt8]
  /// Where the security module is: nil is `/dev/nsm`.
  let moduleEndpoint: Endpoint?
  /// Whether the first policy of a boot goes into PCR16 and stays the only one (protocol §9).
  let pinsPolicy: Bool

  /// The largest file of the directory.
  static let fileBytes = 1 << 20

  /// - Throws: ``ImageError`` naming the file.
  init(directory: String) throws {
    let className = try Self.line("evidence-class", in: directory)
    guard let evidenceClass = EvidenceClass(rawValue: className) else {
      throw ImageError("evidence-class: expected production, development or emulated")
    }
    guard let key = Hex.decode(try Self.line("policy.pub", in: directory)), let policyKey = try? VerifyingKey(key)
    else {
      throw ImageError("policy.pub: expected 64 hexadecimal digits of an Ed25519 key")
    }
    let module = try Self.line("security-module", in: directory)
    switch (module, evidenceClass) {
    case ("/dev/nsm", .production), ("/dev/nsm", .emulated): moduleEndpoint = nil
    case (_, .development) where module.hasPrefix("unix:"):
      do { moduleEndpoint = try Endpoint(module) } catch { throw ImageError("security-module: \(error)") }
    default:
      throw ImageError("security-module: /dev/nsm belongs to production and emulated, unix:/path to development")
    }
    switch try Self.optionalLine("pin-policy", in: directory) {
    case nil: pinsPolicy = false
    case "yes": pinsPolicy = true
    default: throw ImageError("pin-policy: expected yes; leave the file out for no")
    }
    self.evidenceClass = evidenceClass
    self.policyKey = policyKey
    kmsRoots = try Self.read("kms-roots.pem", in: directory)
  }

  /// For tests, which have no measured directory.
  init(
    evidenceClass: EvidenceClass, policyKey: VerifyingKey, kmsRoots: [UInt8], moduleEndpoint: Endpoint?,
    pinsPolicy: Bool = false
  ) {
    self.evidenceClass = evidenceClass
    self.policyKey = policyKey
    self.kmsRoots = kmsRoots
    self.moduleEndpoint = moduleEndpoint
    self.pinsPolicy = pinsPolicy
  }

  /// Opens the security module that the image names.
  func openModule() throws -> any SecurityModule {
    if let moduleEndpoint { return SocketModule(moduleEndpoint) }
    return try NitroDevice()
  }

  /// A file of one line, without its newline.
  private static func line(_ name: String, in directory: String) throws -> String {
    var bytes = try read(name, in: directory)
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(UInt8(ascii: "\n")) else {
      throw ImageError("\(name): not one line of text")
    }
    return text
  }

  /// As ``line(_:in:)``; nil where there is no such file.
  private static func optionalLine(_ name: String, in directory: String) throws -> String? {
    guard access(directory + "/" + name, F_OK) == 0 || errno != ENOENT else { return nil }
    return try line(name, in: directory)
  }

  private static func read(_ name: String, in directory: String) throws -> [UInt8] {
    let descriptor = open(directory + "/" + name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { throw ImageError("\(name): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { throw ImageError("\(name): \(String(cString: strerror(errno)))") }
      if count == 0 { return bytes }
      guard bytes.count + count <= fileBytes else { throw ImageError("\(name): over \(fileBytes) bytes") }
      bytes += buffer[..<count]
    }
  }
}

/// What is wrong with the measured directory; the worker does not start.
struct ImageError: Error, Equatable, CustomStringConvertible {
  let reason: String
  init(_ reason: String) { self.reason = reason }
  var description: String { "image: \(reason)" }
}
