import CPlatform
import Inference
import Wire

/// Memory that models and their work may take: at most what the command line says, and never more than a share of what
/// the kernel has left, so that no allocation meets its end.
struct ModelMemory: Sendable {
  /// Bytes for all models of the worker together; nil for no other bound than the share.
  let limitBytes: UInt64?
  private let available: @Sendable () throws -> UInt64

  /// Of what can be had: the rest is for jobs' lines, results and the kernel.
  static let share: (of: UInt64, parts: UInt64) = (7, 8)

  init(limitBytes: UInt64? = nil, available: @escaping @Sendable () throws -> UInt64 = kernels) {
    (self.limitBytes, self.available) = (limitBytes, available)
  }

  /// - Throws: ``WorkerFault`` with `retry` where the kernel does not say what it has.
  @Sendable static func kernels() throws -> UInt64 {
    // A model that was let go would count as memory in use otherwise.
    cplatform_return_freed_memory()
    guard let bytes = AvailableMemory.bytes() else { throw WorkerFault.retry("/proc/meminfo has no MemAvailable") }
    return bytes
  }

  /// Bytes that can be taken now.
  ///
  /// - Parameter held: by the models in memory.
  /// - Throws: ``WorkerFault`` with `retry` where the kernel does not say what it has.
  func bytes(held: UInt64) throws -> UInt64 {
    let left = try available() / Self.share.parts * Self.share.of
    guard let limitBytes else { return left }
    return min(left, limitBytes - min(limitBytes, held))
  }
}

/// A model, or one sequence of its whole context, needs more memory than there is. How much there is, is the host's
/// choice: so it decides nothing about a job.
struct MemoryShortage: Error, Equatable, CustomStringConvertible {
  /// For the model and, of a decoder, one sequence of its whole context.
  let neededBytes: UInt64
  let availableBytes: UInt64

  var description: String {
    "the model needs \((neededBytes >> 20) + 1) MiB of memory, and \(availableBytes >> 20) MiB can be had"
  }
}
