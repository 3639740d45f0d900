import Crypto
import SealedCrypto
import Wire

/// The sealed bundle as the host streams it. Whatever reads from it, and whatever becomes of the job, the digest over
/// all of its bytes is the job's name.
///
/// A host that once failed to give its bytes gets no digest any more: otherwise it could withhold them from whoever
/// opens the bundle, then stream them, and hold a receipt that this job failed.
final class SealedBundle: ByteSource {
  private let source: HostStream
  private var hasher = SHA256()
  private var size: UInt64 = 0
  /// What ended the stream before its end; thrown again by every later read.
  private var fault: (any Error)?

  /// The largest input, padded (under 12 per cent) and sealed, with room for the manifest.
  static let maximumBytes: UInt64 = Limits.inputBytes + Limits.inputBytes / 4

  init(from link: JobLink) { source = HostStream(.bundle, from: link) }

  func read(upTo count: Int) throws -> [UInt8] {
    if let fault { throw fault }
    do {
      let bytes = try source.read(upTo: count)
      size += UInt64(bytes.count)
      // Endless bytes have no digest, and so no receipt.
      guard size <= Self.maximumBytes else { throw WorkerFault.retry("larger than any bundle") }
      hasher.update(data: bytes)
      return bytes
    } catch {
      fault = error
      throw error
    }
  }

  /// Reads what is left, unopened, and names the job.
  func digestToEnd() throws -> JobName {
    while try !read(upTo: Limits.chunkBytes).isEmpty {}
    return hasher.value()
  }
}
