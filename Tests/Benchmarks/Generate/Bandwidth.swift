import Foundation
import Inference

/// How fast this machine reads memory that no cache holds: what bounds the generation of a single sequence.
final class Bandwidth: @unchecked Sendable {
  private static let bytes = 512 << 20
  private static let passes = 4

  private let memory: UnsafeMutableRawPointer

  init() throws {
    let mapped = mmap(nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED else { throw BenchError("no memory to read") }
    madvise(mapped, Self.bytes, 14)  // MADV_HUGEPAGE, as packed weights have it
    memset(mapped, 1, Self.bytes)
    memory = mapped
  }

  deinit { munmap(memory, Self.bytes) }

  /// Bytes a second, each thread reading a part of its own; the best of a few passes.
  func measure(threads: Int) -> Double {
    let part = Self.bytes / threads / 4096 * 4096
    var best = 0.0
    let clock = ContinuousClock()
    for _ in 0..<Self.passes {
      let time = clock.measure {
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
          sink(Self.sum(self.memory + thread * part, bytes: part))
        }
      }
      best = max(best, Double(part * threads) / (time / .seconds(1)))
    }
    return best
  }

  private static func sum(_ memory: UnsafeRawPointer, bytes: Int) -> UInt64 {
    typealias Line = SIMD8<UInt64>
    let lines = memory.assumingMemoryBound(to: Line.self)
    var (a, b, c, d) = (Line(), Line(), Line(), Line())
    for line in stride(from: 0, to: bytes / 64, by: 4) {
      a &+= lines[line]
      b &+= lines[line + 1]
      c &+= lines[line + 2]
      d &+= lines[line + 3]
    }
    return (a &+ b &+ c &+ d).wrappedSum()
  }
}

/// Makes a result matter, so that what computes it is not left out.
@inline(never) private func sink(_ value: UInt64) { if value == 42 { print("") } }
