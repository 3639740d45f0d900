import CSodium
import Crypto
import Synchronization

/// A long-lived secret in libsodium's guarded memory.
///
/// Invariants:
/// - the bytes lie between guard pages and behind a canary, are locked (as far as `RLIMIT_MEMLOCK` allows), are left
///   out of core dumps, and are wiped when the last reference goes;
/// - outside ``withUnsafeBytes(_:)`` the pages cannot be read, and they are never written after `init`;
/// - no description, mirror or encoding shows content: the type is neither `Codable` nor `Hashable`.
///
/// Copies that libraries need (a `SymmetricKey`, an HPKE key) live for one call; they are named where they are made.
package final class SecretBytes: @unchecked Sendable {
  // @unchecked: the pages are written only in `init`; afterwards `readers` alone decides their protection.

  /// Number of bytes, at least 1.
  package let count: Int
  private let memory: UnsafeMutableRawPointer
  private let readers = Mutex(0)

  /// The most bytes that one secret may have.
  package static let maximumCount = 64 << 10

  /// Makes a secret of `count` bytes that `fill` writes in place; what it leaves unwritten is unspecified, not zero.
  ///
  /// - Throws: ``SecretMemoryError``, or whatever `fill` throws (the memory is wiped then).
  package init(count: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
    guard Self.libraryReady else { throw SecretMemoryError.libraryUnavailable }
    guard count >= 1, count <= Self.maximumCount else { throw SecretMemoryError.badCount(count) }
    guard let memory = sodium_malloc(count) else { throw SecretMemoryError.outOfMemory }
    do {
      try fill(UnsafeMutableRawBufferPointer(start: memory, count: count))
    } catch {
      sodium_free(memory)
      throw error
    }
    guard sodium_mprotect_noaccess(memory) == 0 else {
      sodium_free(memory)
      throw SecretMemoryError.protectionFailed
    }
    self.count = count
    self.memory = memory
  }

  deinit { sodium_free(memory) }

  /// Copies `bytes`; the source stays as it is, so use this only for what the caller cannot wipe.
  ///
  /// - Throws: ``SecretMemoryError``.
  package convenience init(copying bytes: some Collection<UInt8>) throws {
    try self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
  }

  /// Copies `bytes` and wipes the source. An array whose storage is shared is copied by Swift before the wipe: hold the
  /// only reference.
  ///
  /// - Throws: ``SecretMemoryError``; the source is wiped even then.
  package convenience init(copying bytes: inout [UInt8]) throws {
    defer { SecretBytes.wipe(&bytes) }
    try self.init(count: bytes.count) { target in bytes.withUnsafeBytes { target.copyMemory(from: $0) } }
  }

  /// Copies the material of a `SymmetricKey`, which wipes its own memory when released.
  ///
  /// - Throws: ``SecretMemoryError``.
  package convenience init(copying key: SymmetricKey) throws {
    try self.init(count: key.bitCount / 8) { target in key.withUnsafeBytes { target.copyMemory(from: $0) } }
  }

  /// A fresh secret of `count` bytes from the kernel's generator.
  ///
  /// - Throws: ``SecretMemoryError``.
  package static func random(count: Int) throws -> SecretBytes {
    try SecretBytes(count: count) { target in
      guard let start = target.baseAddress else { throw SecretMemoryError.outOfMemory }
      randombytes_buf(start, target.count)
    }
  }

  /// Lets `body` read the bytes. The pointer must not leave `body`, nor may a copy outlive it unnamed.
  package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    openPages()
    defer { closePages() }
    return try body(UnsafeRawBufferPointer(start: memory, count: count))
  }

  /// A short-lived copy for swift-crypto, which wipes it when it is released.
  package func symmetricKey() -> SymmetricKey { withUnsafeBytes { SymmetricKey(data: $0) } }

  /// Overwrites `bytes` with zeros in a way that the optimiser keeps; the count stays.
  package static func wipe(_ bytes: inout [UInt8]) {
    bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { sodium_memzero(start, $0.count) } }
  }

  private static let libraryReady = sodium_init() >= 0

  // A failing mprotect on our own, correctly sized pages is a fault of this program: going on would mean a secret that
  // stays readable, so it stops.
  private func openPages() {
    readers.withLock { readers in
      if readers == 0 { precondition(sodium_mprotect_readonly(memory) == 0, "guarded memory cannot be opened") }
      readers += 1
    }
  }

  private func closePages() {
    readers.withLock { readers in
      readers -= 1
      if readers == 0 { precondition(sodium_mprotect_noaccess(memory) == 0, "guarded memory cannot be closed") }
    }
  }
}

extension SecretBytes: Equatable {
  /// Compares in time that depends on the lengths only.
  package static func == (left: SecretBytes, right: SecretBytes) -> Bool {
    guard left.count == right.count else { return false }
    return left.withUnsafeBytes { leftBytes in
      right.withUnsafeBytes { rightBytes in
        guard let left = leftBytes.baseAddress, let right = rightBytes.baseAddress else { return false }
        return sodium_memcmp(left, right, leftBytes.count) == 0
      }
    }
  }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The length and nothing else.
  package var description: String { "SecretBytes(\(count) bytes, not shown)" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why guarded memory could not be had. All of them stop the operation that needed the secret.
package enum SecretMemoryError: Error, Equatable, CustomStringConvertible, Sendable {
  /// libsodium did not initialise.
  case libraryUnavailable
  /// The kernel gave no memory, or not between guard pages.
  case outOfMemory
  /// The pages could not be protected.
  case protectionFailed
  /// A secret has between 1 and ``SecretBytes/maximumCount`` bytes.
  case badCount(Int)

  package var description: String {
    switch self {
    case .libraryUnavailable: "libsodium did not initialise"
    case .outOfMemory: "no guarded memory left"
    case .protectionFailed: "guarded memory could not be protected"
    case .badCount(let count): "a secret of \(count) bytes is outside 1...\(SecretBytes.maximumCount)"
    }
  }
}
