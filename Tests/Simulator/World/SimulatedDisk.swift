import CSimulatedDisk

/// A disk in memory beneath the real SQLite (CSimulatedDisk.h says how it fails). One thread at a time writes to it; several
/// may copy one that nobody writes to.
final class SimulatedDisk: @unchecked Sendable {
  private let disk: OpaquePointer

  /// - Throws: ``NoDisk`` when memory or disks have run out.
  init(seed: UInt64) throws {
    simulated_disks_install()
    guard let disk = simulated_disk_make(seed) else { throw NoDisk() }
    self.disk = disk
  }

  /// Every connection must be closed by now.
  deinit { simulated_disk_free(disk) }

  /// Where SQLite finds the queue's database.
  var path: String {
    let bytes = [CChar](unsafeUninitializedCapacity: 64) { buffer, count in
      simulated_disk_path(disk, buffer.baseAddress, buffer.count)
      count = buffer.firstIndex(of: 0) ?? 0
    }
    return String(decoding: bytes.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Takes over what another disk holds.
  func copy(_ other: SimulatedDisk) throws { guard simulated_disk_copy(other.disk, disk) != 0 else { throw NoDisk() } }

  /// Cuts all connections off; by a power cut, what was not synced is lost in part or whole.
  func cut(power: Bool) throws { guard simulated_disk_cut(disk, power ? 1 : 0) != 0 else { throw NoDisk() } }

  func arm(_ fault: simulated_fault, skip: Int64) { simulated_disk_arm(disk, fault, skip) }

  /// - Returns: whether the fault had struck.
  @discardableResult func disarm() -> Bool { simulated_disk_disarm(disk) != 0 }

  /// A disk that says it has synced and has not.
  func lie() { simulated_disk_lie(disk, 1) }

  var operations: UInt64 { simulated_disk_operations(disk) }

  struct NoDisk: Error {}
}
