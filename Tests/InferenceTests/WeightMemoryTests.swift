import Testing

@testable import Inference

@Suite("Memory for weights")
struct WeightMemoryTests {
  @Test("buffers of any size begin at a cache line, hold zeros, do not overlap and outlive what they came from")
  func buffers() {
    var memory: WeightMemory? = WeightMemory()
    let sizes = [0, 1, 15, 16, 17, 1000, 300_000, 3 << 20, 9 << 20, 5]
    let buffers = sizes.map { FloatBuffer(count: $0, in: memory) }
    memory = nil
    for (index, buffer) in buffers.enumerated() {
      #expect(Int(bitPattern: buffer.pointer) % 64 == 0)
      #expect((0..<buffer.count).allSatisfy { buffer.pointer[$0] == 0 })
      buffer.pointer.update(repeating: Float(index), count: buffer.count)
    }
    for (index, buffer) in buffers.enumerated() {
      #expect((0..<buffer.count).allSatisfy { buffer.pointer[$0] == Float(index) })
    }
  }
}
