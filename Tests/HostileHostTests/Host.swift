import Foundation
import SealedCrypto
import TestSupport
import Wire

/// What a host saw of one job: all that a real one could write into its store.
struct EndedJob {
  let code: OutwardCode
  /// COSE bytes; nil where the worker left the job undecided.
  let receipt: [UInt8]?
  /// Sealed result files.
  let files: [ResultFile: [UInt8]]

  /// The receipt's claims, its signature checked and its attestation not.
  var claims: ReceiptClaims {
    get throws {
      guard let receipt else { throw TheatreError("there is no receipt") }
      return try UnverifiedStatement<ReceiptClaims>(receipt).signedByItsOwnKey().signed.claims
    }
  }
}

/// How a connection to the worker ended without a valid answer.
struct HungUp: Error {}

/// A host in the daemon's place: it speaks the frames of `Wire` with the real worker and may say anything.
struct Host {
  let endpoint: Endpoint
  /// Where the worker is told to find KMS.
  let relay: Endpoint
  let accessKey: String
  let secret: String

  /// A connection on which nothing was said yet.
  func connect() throws -> Channel { try Channel.connect(to: endpoint, stallMilliseconds: 60_000) }

  /// Sends one activity and takes its one answer.
  func perform(_ activity: Activity) throws -> WorkerReply {
    let channel = try connect()
    try channel.send(activity.encoded())
    guard let frame = try channel.receive() else { throw HungUp() }
    return try WorkerReply(frame)
  }

  func configure(_ policy: [UInt8], relay: Endpoint? = nil) throws -> OutwardCode {
    try perform(
      .configure(
        WorkerConfiguration(
          policy: policy, relay: relay ?? self.relay, accessKeyID: accessKey, secretAccessKey: Array(secret.utf8),
          sessionToken: nil))
    ).code
  }

  /// The worker's word on itself.
  func status(nonce: [UInt8] = []) throws -> StatusClaims {
    guard let bytes = try perform(.status(nonce: nonce)).statement else { throw HungUp() }
    return try UnverifiedStatement<StatusClaims>(bytes).signedByItsOwnKey().signed.claims
  }

  /// Runs a job from memory.
  ///
  /// - Parameters:
  ///   - objects: bytes of a model's object; nil says that there is none.
  ///   - play: may answer a request instead; nil leaves it to the honest way.
  func run(
    _ bundle: [UInt8], attempt: UInt64 = 1, objects: @escaping (ContentDigest, String) throws -> [UInt8]?,
    play: (JobRequest, Channel) throws -> JobReply? = { _, _ in nil }
  ) throws -> EndedJob {
    let channel = try connect()
    try channel.send(Activity.runJob(attempt: attempt).encoded())
    var sources: [JobStream: MemorySource] = [:]
    var files: [ResultFile: [UInt8]] = [:]
    while true {
      guard let frame = try channel.receive() else { throw HungUp() }
      let request = try JobRequest(frame)
      if let reply = try play(request, channel) {
        if case .write(let file, let bytes) = request { files[file, default: []] += bytes }
        try channel.send(reply.encoded())
        continue
      }
      switch request {
      case .pull(let stream):
        if sources[stream] == nil {
          switch stream {
          case .bundle: sources[stream] = MemorySource(bundle)
          case .model(let digest, let name): sources[stream] = try objects(digest, name).map { MemorySource($0) }
          }
        }
        let piece = sources[stream]?.read(upTo: Limits.chunkBytes)
        try channel.send((piece.map { JobReply.data($0) } ?? .absent).encoded())
      case .write(let file, let bytes):
        files[file, default: []] += bytes
        try channel.send(JobReply.acknowledged(cancel: false).encoded())
      case .progress: try channel.send(JobReply.acknowledged(cancel: false).encoded())
      case .end(let code, let receipt): return EndedJob(code: code, receipt: receipt, files: files)
      }
    }
  }
}

extension Array where Element == UInt8 {
  /// The same bytes with one bit changed; which bit of the byte goes with the offset, so that all eight occur.
  func flipped(at offset: Int) -> [UInt8] {
    var copy = self
    copy[offset] ^= 1 << UInt8(offset % 8)
    return copy
  }
}
