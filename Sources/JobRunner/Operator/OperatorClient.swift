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

  /// Asks the daemon and prints its answer.
  ///
  /// - Throws: ``ClientError`` when the daemon refuses, or is not there.
  func ask(_ request: OperatorRequest) throws {
    guard let path = socket ?? ProcessInfo.processInfo.environment["EPHEMERAL_DAEMON_SOCKET"] else {
      throw ValidationError("Name the daemon's socket by --socket or EPHEMERAL_DAEMON_SOCKET.")
    }
    let absolute = URL(filePath: path).standardizedFileURL.path
    let reply: OperatorReply
    do {
      // A run of a schedule reads the whole inbox before it answers.
      let channel = try Channel.connect(to: .unix(absolute), stallMilliseconds: 120_000)
      defer { channel.close() }
      try OperatorLine.send(request, to: channel)
      guard let answer = try OperatorLine.receive(OperatorReply.self, from: channel, limit: OperatorLine.limit) else {
        throw WireError.connectionLost("the daemon hung up")
      }
      reply = answer
    } catch {
      throw ClientError(
        .retryable, "the daemon does not answer: \(error)",
        remedy: "look whether it runs on this socket; `ephemeral daemon run` starts it", by: .operator_)
    }
    if let reason = reply.error {
      throw ClientError(
        reply.isMissing == true ? .notFound : .other, Shown.printable(reason, limit: 1000),
        remedy: reply.remedy ?? "look into the daemon's log", by: .operator_)
    }
    let screen = Screen(json: json)
    screen.line(try OperatorAnswer.json(reply))
    OperatorAnswer.lines(reply).forEach(screen.out)
  }
}
