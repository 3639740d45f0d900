import Crypto
import Glibc
import Wire

/// One sync of a stream at a time, on one home. Held until it is let go, or until its process is gone.
struct SyncLock {
  private let file: OpenedFile

  /// - Parameter waitMs: how long to wait for another one.
  /// - Throws: ``ClientError`` of kind `retryable` when another sync of the stream still runs then.
  init(_ home: ClientHome, profile: String, stream: String, waitMs: UInt64) throws {
    let directory = "\(home.ledgerPath)/sync"
    try PrivateFiles.makeDirectory(directory)
    let name = SHA256.digest(of: Array("\(profile)\u{0}\(stream)".utf8)).hex.prefix(32)
    let path = "\(directory)/\(name).lock"
    if !PrivateFiles.exists(path) { try? PrivateFiles.write([], to: path, replacing: false) }
    file = try OpenedFile(reading: path)
    let deadline = Timestamps.nowMs() + waitMs
    while try !file.tryLock() {
      guard Timestamps.nowMs() < deadline else {
        throw ClientError(
          .retryable, "another sync of stream \(stream) is running",
          remedy: "let it end; --wait-lock SECONDS waits for it")
      }
      usleep(100_000)
    }
  }
}
