import ArgumentParser
import Client
import Foundation
import Queue

/// Where the database is, and whether its daemon is there; shared by the verbs of `ephemeral db`.
struct DatabaseOptions: ParsableArguments {
  @Option(
    help: "The daemon's state folder (default: $EPHEMERAL_STATE): its socket, and the file while no daemon runs.")
  var state: String?
  @OptionGroup var daemon: OperatorOptions

  /// Has the daemon answer, or does without where there is none.
  ///
  /// - Parameter offline: given the database's path; opens it exclusively.
  /// - Throws: ``ClientError``
  func answer(
    to request: OperatorRequest, offline: (String) throws -> OperatorReply
  ) throws -> OperatorReply {
    let variable = ProcessInfo.processInfo.environment[ConfigurationKey.state.variable]
    let folder = (state ?? variable.flatMap { $0.isEmpty ? nil : $0 }).map(StateFolder.absolute)
    guard let socket = daemon.socketPath ?? folder.map(StateFolder.socket) else {
      throw ValidationError("Name the daemon's state folder by --state, or its socket by --socket.")
    }
    do {
      return try daemon.exchange(request, at: socket)
    } catch let absence as DaemonAbsent {
      guard let folder else {
        throw ClientError(
          .retryable, "the daemon does not answer: \(absence)",
          remedy: "while it is stopped, name its state folder by --state", by: .operator_)
      }
      return try Self.withRemedies(socket: socket) { try offline(folder + "/" + StateFolder.database) }
    }
  }

  /// Opens the file for `body` alone.
  static func withFile<Value>(_ path: String, _ body: (StoppedDatabase) throws -> Value) throws -> Value {
    let database = try StoppedDatabase(path: path)
    let value = try body(database)
    try database.close()
    return value
  }

  /// Says what to do about what the database says.
  static func withRemedies<Value>(socket: String? = nil, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as QueueError {
      switch error {
      case .alreadyOpen(let path):
        throw ClientError(
          .retryable, "a daemon has \(path) open, and does not answer\(socket.map { " on \($0)" } ?? "")",
          remedy: "name its socket by --socket, or stop it", by: .operator_)
      case .missing(let path):
        throw ClientError(
          .notFound, "there is no database at \(path)",
          remedy: "name the daemon's state folder; a daemon that starts without a database rebuilds it from the store",
          by: .operator_)
      case .schemaTooNew:
        throw ClientError(.other, "\(error)", remedy: "use that version of ephemeral", by: .operator_)
      case .corrupt:
        throw ClientError(
          .other, "\(error)",
          remedy: "restore a backup, or put the file aside and start the daemon: docs/operations/recovery.md",
          by: .operator_)
      case .backupRefused:
        throw ClientError(
          .other, "\(error)", remedy: "name a path that is not taken and that you may write to", by: .operator_)
      default: throw ClientError(.other, "\(error)", remedy: "look at the disk", by: .operator_)
      }
    }
  }
}
