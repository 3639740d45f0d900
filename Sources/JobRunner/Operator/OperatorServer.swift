import Foundation
import Logging
import Wire

/// Answers operators on the daemon's socket.
final class OperatorServer: Sendable {
  private let listener: Listener
  private let log: Logger
  private let answer: @Sendable (OperatorRequest) throws -> OperatorReply
  private let places = Places(count: OperatorServer.connections)
  /// Operators served at once, each by a thread.
  static let connections = 32
  /// An operator who asks has asked by then: whoever sends his line byte by byte keeps his place no longer.
  private let requestMilliseconds: Int32
  /// Between two spaces before an answer that takes its time.
  private let signMilliseconds: Int

  /// - Parameters:
  ///   - requestMilliseconds: the longest that a request may take to come.
  ///   - signMilliseconds: how often a command that waits is shown that the daemon is alive.
  init(
    listenOn endpoint: Endpoint, log: Logger, requestMilliseconds: Int32 = 10_000, signMilliseconds: Int = 20_000,
    answer: @escaping @Sendable (OperatorRequest) throws -> OperatorReply
  ) throws {
    self.requestMilliseconds = requestMilliseconds
    self.signMilliseconds = signMilliseconds
    listener = try Listener(endpoint)
    self.log = log
    self.answer = answer
  }

  /// Serves until ``stop()``, on threads of its own.
  func start() {
    Thread.detachNewThread { [self] in
      while true {
        do {
          guard let channel = try listener.accept(stallMilliseconds: requestMilliseconds) else { return }
          guard places.take() else {
            // A few bytes into an empty socket: they do not keep this thread waiting.
            try? OperatorLine.send(OperatorReply.refused(Self.busy), to: channel)
            continue
          }
          Thread.detachNewThread { [self] in
            serve(channel)
            places.give()
          }
        } catch {
          log.error("operator's socket: \(error)")
          Thread.sleep(forTimeInterval: 1)
        }
      }
    }
  }

  private static let busy = "the daemon answers \(connections) other commands; ask again when they have ended"

  /// Stops listening and removes the socket.
  func stop() { listener.close() }

  private func serve(_ channel: Channel) {
    defer { channel.close() }
    do {
      let received = try channel.within(milliseconds: requestMilliseconds) {
        try OperatorLine.receive(OperatorRequest.self, from: channel, limit: OperatorLine.requestLimit)
      }
      guard let request = received else { return }
      let reply = withSignsOfLife(on: channel) { () -> OperatorReply in
        do { return try answer(request) } catch { return .refused("\(error)") }
      }
      try OperatorLine.send(reply, to: channel)
    } catch {
      log.warning("operator's connection: \(error)")
    }
  }

  /// Writes a space now and then while `body` works: JSON takes no notice of it, and whoever waits can tell a store that
  /// is slow from a daemon that hangs.
  private func withSignsOfLife(on channel: Channel, _ body: () -> OperatorReply) -> OperatorReply {
    let (isDone, isSilent) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    Thread.detachNewThread { [signMilliseconds] in
      defer { isSilent.signal() }
      while isDone.wait(timeout: .now() + .milliseconds(signMilliseconds)) == .timedOut {
        // Whoever asked is gone, then; the work goes on.
        guard (try? channel.write([UInt8(ascii: " ")])) != nil else { return }
      }
    }
    defer {
      isDone.signal()
      isSilent.wait()
    }
    return body()
  }
}
