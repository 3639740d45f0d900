import ArgumentParser
import Client
import Foundation
import Wire

// What a shell offers when a user presses Tab. The shell runs this program for it, so that nothing here may take long,
// say anything, or ask a network: the ledger and the trust profiles are files, the daemon's socket is on this machine.

extension CompletionKind {
  /// Names of jobs in the client's ledger, newest first, as `ephemeral list` shortens them.
  static var ownJobs: CompletionKind {
    .custom { words, _, prefix in
      let entries = (try? Ledger(home: CompletionRequest(words).home()).entries()) ?? []
      return CompletionRequest.jobs(entries.reversed().map(\.record.job.hex), prefix)
    }
  }

  /// Names of trust profiles.
  static var profiles: CompletionKind {
    .custom { words, _, _ in (try? TrustStore(home: CompletionRequest(words).home()).names()) ?? [] }
  }

  /// Names of jobs that the daemon has, of every state.
  static var queuedJobs: CompletionKind {
    .custom { words, _, prefix in
      let names = CompletionRequest(words).ask(OperatorRequest(verb: .list, limit: 1000), table: "jobs", column: "job")
      return CompletionRequest.jobs(names.reversed(), prefix)
    }
  }

  /// Names of the daemon's queues.
  static var queues: CompletionKind {
    .custom { words, _, _ in
      CompletionRequest(words).ask(OperatorRequest(verb: .stats), table: "queues", column: "queue")
    }
  }

  /// Names of the daemon's schedules.
  static var schedules: CompletionKind {
    .custom { words, _, _ in
      CompletionRequest(words).ask(OperatorRequest(verb: .scheduleList), table: "schedules", column: "schedule")
    }
  }
}

/// The line that is being completed: as it stands, quotes and all.
private struct CompletionRequest {
  private let words: [String]
  /// A daemon that is busy is not waited for.
  private static let patienceMilliseconds: Int32 = 500
  /// More than anybody reads.
  private static let most = 200

  init(_ words: [String]) { self.words = words }

  /// The home that the line names, or else the environment's.
  func home() throws -> ClientHome {
    if let path = value(of: "--home") { return ClientHome(path: path) }
    return try ClientHome(environment: ProcessInfo.processInfo.environment)
  }

  /// A column of the daemon's answer; nothing where it does not answer at once.
  func ask(_ request: OperatorRequest, table: String, column: String) -> [String] {
    guard let path = value(of: "--socket") ?? ProcessInfo.processInfo.environment["EPHEMERAL_DAEMON_SOCKET"],
      let reply = try? OperatorOptions().exchange(
        request, at: StateFolder.absolute(path), stallMilliseconds: CompletionRequest.patienceMilliseconds),
      let answer = reply.table, answer.name == table
    else { return [] }
    return answer.rows.compactMap { row in
      guard case .text(let text)? = row[column] else { return nil }
      return text
    }
  }

  /// Twelve digits of each name; what was typed beyond them asks for whole names.
  static func jobs(_ names: [String], _ prefix: String) -> [String] {
    let typed = prefix.lowercased()
    return names.filter { $0.hasPrefix(typed) }.prefix(most).map { typed.count > 12 ? $0 : String($0.prefix(12)) }
  }

  private func value(of option: String) -> String? {
    if let word = words.first(where: { $0.hasPrefix(option + "=") }) { return String(word.dropFirst(option.count + 1)) }
    guard let at = words.lastIndex(of: option), at + 1 < words.count, !words[at + 1].isEmpty else { return nil }
    return words[at + 1]
  }
}
