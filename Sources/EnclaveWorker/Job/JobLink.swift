import SealedCrypto
import Wire

/// The host's side of one job: it answers what it is asked, and nothing that it says is trusted.
final class JobLink {
  private let channel: Channel

  init(_ channel: Channel) { self.channel = channel }

  /// The next piece of a stream, empty at its end; nil where the host has no such object.
  ///
  /// - Throws: ``HostLost``.
  func pull(_ stream: JobStream) throws -> [UInt8]? {
    switch try exchange(.pull(stream)) {
    case .data(let bytes): return bytes
    case .absent: return nil
    case .acknowledged: throw HostLost(reason: WireError.malformed("an acknowledgement where data was asked for"))
    }
  }

  /// Appends at most ``Limits/chunkBytes`` sealed bytes to a result file.
  ///
  /// - Throws: ``HostLost``; ``WorkerFault`` with `retry` where the host passes on a wish to stop.
  func write(_ file: ResultFile, _ bytes: [UInt8]) throws { try acknowledge(.write(file, bytes)) }

  /// Says how far the job is; also the heartbeat. Throws as ``write(_:_:)`` does.
  func progress(done: UInt64) throws { try acknowledge(.progress(done: done)) }

  /// The last message; nothing depends on the host's answer.
  func end(_ code: OutwardCode, receipt: [UInt8]?) throws {
    try host { try channel.send(JobRequest.end(code, receipt: receipt).encoded()) }
  }

  private func acknowledge(_ request: JobRequest) throws {
    guard case .acknowledged(let cancel) = try exchange(request) else {
      throw HostLost(reason: WireError.malformed("data where an acknowledgement was due"))
    }
    // Nobody signed it, so it ends this attempt and decides nothing: no receipt speaks of it.
    if cancel { throw WorkerFault.retry("the host cancels the attempt") }
  }

  private func exchange(_ request: JobRequest) throws -> JobReply {
    try host {
      try channel.send(request.encoded())
      guard let frame = try channel.receive() else { throw WireError.connectionLost("the host closed during a job") }
      return try JobReply(frame)
    }
  }

  private func host<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch { throw HostLost(reason: error) }
  }
}

/// One object of the host's store, pulled piece by piece.
final class HostStream: ByteSource {
  private let link: JobLink
  private let stream: JobStream
  private var piece: ArraySlice<UInt8> = []
  private var hasEnded = false

  init(_ stream: JobStream, from link: JobLink) {
    self.stream = stream
    self.link = link
  }

  /// - Throws: ``HostLost``; ``WorkerFault`` with `retry` where the host has no such object: what is missing today may
  ///   be there tomorrow, and an absence proves nothing about the job.
  func read(upTo count: Int) throws -> [UInt8] {
    if piece.isEmpty, !hasEnded {
      guard let next = try link.pull(stream) else { throw WorkerFault.retry("the host does not have the object") }
      hasEnded = next.isEmpty
      piece = next[...]
    }
    defer { piece = piece.dropFirst(count) }
    return Array(piece.prefix(count))
  }
}
