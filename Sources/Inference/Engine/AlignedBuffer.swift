import CBlas

/// A block of numbers at a 64-byte boundary, zeroed at first and wiped before it is freed: it holds weights or
/// activations.
final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Element>
  let count: Int
  /// Nil where the buffer has memory of its own.
  private let block: WeightMemory.Block?

  /// `memory`: where packed weights lie.
  init(count: Int, in memory: WeightMemory? = nil) {
    self.count = count
    let bytes = max(count, 1) * MemoryLayout<Element>.stride
    if let part = memory?.allocate(bytes: bytes) {
      block = part.block
      pointer = part.start.bindMemory(to: Element.self, capacity: max(count, 1))
    } else {
      block = nil
      let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
      raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
      pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    }
  }

  func wipe() { cb_wipe(pointer, count * MemoryLayout<Element>.stride) }

  deinit {
    wipe()
    if block == nil { UnsafeMutableRawPointer(pointer).deallocate() }
  }
}

typealias FloatBuffer = AlignedBuffer<Float>
