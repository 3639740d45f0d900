import Wire

/// The host's end of the activities that have one answer. One connection for each (Wire/Messages.swift).
struct WorkerClient: Sendable {
  /// Where the worker listens.
  let endpoint: WorkerAddress
  /// Longest silence of the worker before it counts as lost.
  let stallMilliseconds: Int32

  init(endpoint: WorkerAddress, stallMilliseconds: Int32 = 60_000) {
    self.endpoint = endpoint
    self.stallMilliseconds = stallMilliseconds
  }

  /// Opens a connection for one activity and sends its first frame.
  func open(_ activity: Activity) throws -> Channel {
    let channel = try endpoint.connect(stallMilliseconds: stallMilliseconds)
    try channel.send(activity.encoded())
    return channel
  }

  /// Performs an activity that has one answer.
  func perform(_ activity: Activity) throws -> WorkerReply {
    let channel = try open(activity)
    defer { channel.close() }
    guard let frame = try channel.receive() else { throw WireError.connectionLost("the worker at \(endpoint) hung up") }
    return try WorkerReply(frame)
  }
}
