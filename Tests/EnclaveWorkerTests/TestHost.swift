import Synchronization

@testable import EnclaveWorker
@testable import SealedCrypto
@testable import Wire

/// What a host has seen of one job.
struct SeenJob {
  var code: OutwardCode?
  var receipt: [UInt8]?
  var files: [ResultFile: [UInt8]] = [:]
  var progress: [UInt64] = []
  var pulled: [JobStream] = []

  /// The receipt's claims, its signature checked under the key that it names.
  func claims() throws -> ReceiptClaims {
    try UnverifiedStatement<ReceiptClaims>(receipt ?? []).signedByItsOwnKey().signed.claims
  }
}

/// Plays the host against a worker in this process, over a socket pair and the real frames.
struct TestHost {
  let worker: Worker
  var objects: [JobStream: [UInt8]] = [:]
  /// Bytes of each answer.
  var pieceBytes = Limits.chunkBytes
  /// Acknowledgements after which the cancel flag is set.
  var cancelAfter: Int?
  /// Pulls of this stream that are answered with "absent", by their number from 1.
  var absentAt: (stream: JobStream, pull: Int)?
  /// Called with each word of progress, before it is acknowledged.
  var onProgress: (UInt64) -> Void = { _ in }
  /// Requests after which the host goes away.
  var leaveAfter: Int?

  func ask(_ activity: Activity) throws -> WorkerReply {
    let (near, far) = try Channel.pair(stallMilliseconds: 30_000)
    let worker = worker
    Thread.start { worker.serve(far) }
    try near.send(activity.encoded())
    guard let frame = try near.receive() else { throw WireError.connectionLost("no reply") }
    return try WorkerReply(frame)
  }

  func runJob(attempt: UInt64 = 1) throws -> SeenJob {
    let (near, far) = try Channel.pair(stallMilliseconds: 30_000)
    let worker = worker
    Thread.start { worker.serve(far) }
    try near.send(Activity.runJob(attempt: attempt).encoded())
    var seen = SeenJob()
    var offsets: [JobStream: Int] = [:]
    var (requests, acknowledged) = (0, 0)
    while let frame = try near.receive() {
      requests += 1
      if let leaveAfter, requests > leaveAfter { return seen }
      switch try JobRequest(frame) {
      case .pull(let stream):
        seen.pulled.append(stream)
        let pull = seen.pulled.count { $0 == stream }
        let isWithheld = absentAt.map { $0.stream == stream && $0.pull == pull } ?? false
        guard let object = objects[stream], !isWithheld else {
          try near.send(JobReply.absent.encoded())
          continue
        }
        let start = offsets[stream, default: 0]
        let end = min(object.count, start + pieceBytes)
        offsets[stream] = end
        try near.send(JobReply.data(Array(object[start..<end])).encoded())
        continue
      case .write(let file, let bytes): seen.files[file, default: []] += bytes
      case .progress(let done):
        seen.progress.append(done)
        onProgress(done)
      case .end(let code, let receipt):
        seen.code = code
        seen.receipt = receipt
        try near.send(JobReply.acknowledged(cancel: false).encoded())
        return seen
      }
      acknowledged += 1
      try near.send(JobReply.acknowledged(cancel: cancelAfter.map { acknowledged >= $0 } ?? false).encoded())
    }
    return seen
  }
}
