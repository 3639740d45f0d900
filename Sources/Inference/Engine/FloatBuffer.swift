import CBlas

/// A block of floats at a 64-byte boundary, zeroed at first and wiped before it is freed: it holds weights or
/// activations.
final class FloatBuffer: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Float>
  let count: Int

  init(count: Int) {
    self.count = count
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
    pointer = raw.initializeMemory(as: Float.self, repeating: 0, count: max(count, 1))
  }

  func wipe() { cb_wipe(pointer, count * MemoryLayout<Float>.stride) }

  deinit {
    wipe()
    UnsafeMutableRawPointer(pointer).deallocate()
  }
}
