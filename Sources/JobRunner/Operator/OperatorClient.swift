import ArgumentParser
import Foundation
import Wire

/// Where the daemon's socket is; shared by the operator's commands.
struct OperatorOptions: ParsableArguments {
  @Option(
    name: .long, help: "The daemon's socket, daemon.sock in its state folder (default: $EPHEMERAL_DAEMON_SOCKET).")
  var socket: String?

  @Flag(name: .long, help: "One JSON object instead of a table.")
  var json = false

  /// Asks the daemon and prints its answer; ends the program with the right code.
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
      Self.complain("\(error)\nIs the daemon running? Start it with: ephemeral daemon run")
      throw ExitCode(ExitStatus.retryable.rawValue)
    }
    if let reason = reply.error {
      Self.complain(reason)
      throw ExitCode((reply.isMissing == true ? ExitStatus.notFound : .other).rawValue)
    }
    if json { try printJSON(reply) } else { printTable(reply) }
  }

  private static func complain(_ text: String) {
    FileHandle.standardError.write(Data("ephemeral: \(text)\n".utf8))
  }

  private func printJSON(_ reply: OperatorReply) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(reply), as: UTF8.self))
  }

  private func printTable(_ reply: OperatorReply) {
    if let message = reply.message { print(message) }
    guard let columns = reply.columns, let rows = reply.rows else { return }
    let widths = columns.map { column in
      max(column.count, rows.map { ($0[column] ?? "").count }.max() ?? 0)
    }
    func line(_ cells: [String]) -> String {
      zip(cells, widths).map { cell, width in cell.padding(toLength: width, withPad: " ", startingAt: 0) }
        .joined(separator: "  ")
    }
    print(line(columns.map { $0.uppercased() }))
    for row in rows { print(line(columns.map { row[$0] ?? "" })) }
    if rows.isEmpty { print("(none)") }
  }
}
