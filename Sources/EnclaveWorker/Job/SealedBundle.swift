import Crypto
import SealedCrypto
import Wire

/// The sealed bundle as the host streams it. Whatever reads from it, and whatever becomes of the job, the digest over
/// all of its bytes is the job's name.
final class SealedBundle: ByteSource {
  private let source: HostStream
  private var hasher = SHA256()
  private var size: UInt64 = 0

  /// The largest input, padded (under 12 per cent) and sealed, with room for the manifest.
  static let maximumBytes: UInt64 = Limits.inputBytes + Limits.inputBytes / 4

  init(from link: JobLink) { source = HostStream(.bundle, from: link) }

  func read(upTo count: Int) throws -> [UInt8] {
    let bytes = try source.read(upTo: count)
    size += UInt64(bytes.count)
    // Endless bytes have no digest, and so no receipt.
    guard size <= Self.maximumBytes else { throw WorkerFault.retry("larger than any bundle") }
    hasher.update(data: bytes)
    return bytes
  }

  /// Reads what is left, unopened, and names the job.
  func digestToEnd() throws -> JobName {
    while try !read(upTo: Limits.chunkBytes).isEmpty {}
    return hasher.value()
  }
}
