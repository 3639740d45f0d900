import ArgumentParser
import Client
import Foundation
import Wire

/// Where the daemon's socket is; shared by the operator's commands.
struct OperatorOptions: ParsableArguments {
  @Option(
    name: .long, help: "The daemon's socket, daemon.sock in its state folder (default: $EPHEMERAL_DAEMON_SOCKET).")
  var socket: String?

  @Flag(name: .long, help: "One JSON object, with the keys that docs/quickstart.md lists.")
  var json = false

  /// `--socket`, else the environment's; absolute.
  var socketPath: String? {
    (socket ?? ProcessInfo.processInfo.environment["EPHEMERAL_DAEMON_SOCKET"])
      .map(StateFolder.absolute)
  }

  /// For the manual of verbs that may be long.
  static let partial = "Works for a minute at most. Exit code 3: more is left, run it again."
  /// The longest wait for a daemon that shows no sign of life; while it works on an answer it shows one.
  private static let stallMilliseconds: Int32 = 120_000
  /// The longest wait for an answer: a large database is copied and read, or every job of a store is looked up.
  private static let answerMilliseconds: Int32 = 12 * 3_600_000

  /// Asks the daemon and prints its answer.
  ///
  /// - Throws: ``ClientError`` when the daemon refuses, or is not there; an `ExitCode` of ``ExitStatus/partial`` when it
  ///   left something for the next request, and said so.
  func ask(_ request: OperatorRequest) throws {
    guard let path = socketPath else {
      throw ValidationError("Name the daemon's socket by --socket or EPHEMERAL_DAEMON_SOCKET.")
    }
    do {
      let reply = try exchange(request, at: path)
      show(reply)
      if reply.facts?["more"] == .bool(true) { throw ExitCode(ExitStatus.partial.rawValue) }
    } catch let absence as DaemonAbsent {
      throw ClientError(
        .retryable, "the daemon does not answer: \(absence)",
        remedy: "look whether it runs on this socket; `ephemeral daemon run` starts it", by: .operator_)
    }
  }

  /// Asks the daemon at a socket.
  ///
  /// - Throws: ``DaemonAbsent`` where nobody listens; ``ClientError`` when the daemon refuses or hangs up.
  func exchange(
    _ request: OperatorRequest, at path: String, stallMilliseconds: Int32 = Self.stallMilliseconds
  ) throws -> OperatorReply {
    let channel: Channel
    do {
      channel = try Channel.connect(to: .unix(path), stallMilliseconds: stallMilliseconds)
    } catch { throw DaemonAbsent(description: "\(error)") }
    defer { channel.close() }
    let reply: OperatorReply
    do {
      try OperatorLine.send(request, to: channel)
      let received = try channel.within(milliseconds: Self.answerMilliseconds) {
        try OperatorLine.receive(OperatorReply.self, from: channel, limit: OperatorLine.limit)
      }
      guard let answer = received else {
        throw WireError.connectionLost("the daemon hung up")
      }
      reply = answer
    } catch {
      throw ClientError(
        .retryable, "the daemon does not answer: \(error)",
        remedy: "look into the daemon's log; a daemon of another version may not know this request", by: .operator_)
    }
    if let reason = reply.error {
      throw ClientError(
        reply.isMissing == true ? .notFound : .other, Shown.printable(reason, limit: 1000),
        remedy: reply.remedy ?? "look into the daemon's log", by: .operator_)
    }
    return reply
  }

  /// Prints an answer.
  func show(_ reply: OperatorReply) {
    let screen = Screen(json: json)
    screen.line(OperatorAnswer.json(reply))
    OperatorAnswer.lines(reply).forEach(screen.out)
  }
}

/// Nobody listens on the daemon's socket.
struct DaemonAbsent: Error, CustomStringConvertible {
  let description: String
}
