import Foundation
import Logging
import Wire

/// Answers operators on the daemon's socket.
final class OperatorServer: Sendable {
  private let listener: Listener
  private let log: Logger
  private let answer: @Sendable (OperatorRequest) throws -> OperatorReply

  init(
    listenOn endpoint: Endpoint, log: Logger, answer: @escaping @Sendable (OperatorRequest) throws -> OperatorReply
  ) throws {
    listener = try Listener(endpoint)
    self.log = log
    self.answer = answer
  }

  /// Serves until ``stop()``, on threads of its own.
  func start() {
    Thread.detachNewThread { [self] in
      while true {
        do {
          guard let channel = try listener.accept(stallMilliseconds: 10_000) else { return }
          Thread.detachNewThread { [self] in serve(channel) }
        } catch {
          log.error("operator's socket: \(error)")
          Thread.sleep(forTimeInterval: 1)
        }
      }
    }
  }

  /// Stops listening and removes the socket.
  func stop() { listener.close() }

  private func serve(_ channel: Channel) {
    defer { channel.close() }
    do {
      guard let request = try OperatorLine.receive(OperatorRequest.self, from: channel, limit: 64 << 10) else { return }
      let reply: OperatorReply
      do { reply = try answer(request) } catch { reply = .refused("\(error)") }
      try OperatorLine.send(reply, to: channel)
    } catch {
      log.warning("operator's connection: \(error)")
    }
  }
}
