import Client
import Foundation
import Queue
import Wire

/// The daemon on its socket, its database, its schedules and its unit.
struct DaemonChecks {
  let stateFolder: String?
  let socketPath: String?
  let schedulesFolder: String?

  func examine() -> [Diagnosis] {
    let (daemon, isUp) = socketPath.map(self.daemon) ?? (nil, false)
    var found = [daemon].compactMap { $0 }
    if let database = database(isUp: isUp) { found.append(database) }
    found += schedules(isUp: isUp)
    if let unit = SystemdUnit.examine() { found += unit }
    return found
  }

  // MARK: The socket

  private func daemon(_ path: String) -> (Diagnosis?, isUp: Bool) {
    do {
      let reply = try ask(OperatorRequest(verb: .ping), path)
      return (.ok("daemon", Shown.printable(reply.message ?? "answers", limit: 400)), true)
    } catch is DaemonAbsent {
      return (
        .warn(
          "daemon", "nobody answers on \(path)", meaning: "nothing is taken in, run or scheduled",
          remedy:
            "systemctl start ephemeral-daemon (or ephemeral daemon run); journalctl -u ephemeral-daemon says why not"
        ), false
      )
    } catch {
      return (
        .fail(
          "daemon", "it does not answer as this version does: \((error as? ClientError)?.reason ?? "\(error)")",
          remedy: "restart it with this version of ephemeral"), true
      )
    }
  }

  private func ask(_ request: OperatorRequest, _ path: String) throws -> OperatorReply {
    try OperatorOptions().exchange(request, at: path)
  }

  // MARK: The database

  private func database(isUp: Bool) -> Diagnosis? {
    do {
      if isUp, let socketPath {
        let reply = try ask(OperatorRequest(verb: .databaseCheck), socketPath)
        return judge(
          reply.message ?? "", isSound: reply.facts?["sound"] == .bool(true),
          first: reply.table?.rows.first.map { "\(Self.text($0["what"])); \(Self.text($0["remedy"]))" })
      }
      guard let stateFolder else { return nil }
      let path = "\(stateFolder)/\(StateFolder.database)"
      guard FileManager.default.fileExists(atPath: path) else {
        return .ok(
          "database", "there is none yet", meaning: "a daemon that starts makes it, and rebuilds it from the store")
      }
      let report = try DatabaseOptions.withFile(path) { try $0.check() }
      return judge(
        DatabaseAnswer.checked(report, path).message ?? "", isSound: report.isSound,
        first: report.findings.first.map { "\($0.words); \($0.remedy)" })
    } catch let error as QueueError {
      let remedy =
        switch error {
        case .alreadyOpen: "a daemon has it, on another socket: name that (--socket), or stop it"
        case .corrupt: "restore a backup or begin anew: docs/operations/recovery.md"
        default: "ephemeral db check --state DIR says more"
        }
      return .fail("database", "\(error)", remedy: remedy)
    } catch {
      return .fail(
        "database", "the daemon could not check it: \((error as? ClientError)?.reason ?? "\(error)")",
        remedy: "ephemeral db check")
    }
  }

  private func judge(_ words: String, isSound: Bool, first: String?) -> Diagnosis {
    let remedy = "docs/operations/recovery.md; ephemeral db check lists everything"
    if !isSound {
      return .fail("database", words, meaning: first, remedy: remedy)
    }
    if let first { return .warn("database", words, meaning: first, remedy: "ephemeral db check lists everything") }
    return .ok("database", words)
  }

  private static func text(_ value: OperatorValue?) -> String {
    if case .text(let text) = value { Shown.printable(text, limit: 400) } else { "" }
  }

  // MARK: Schedules

  private func schedules(isUp: Bool) -> [Diagnosis] {
    guard let schedulesFolder else { return [] }
    do {
      let sources = try ScheduleFile.readAll(inFolder: schedulesFolder)
      let now = SystemClock().now()
      let next = sources.compactMap { source -> (Timestamp, String)? in
        source.definition.calendar?.next(after: now).map { ($0, source.definition.name) }
      }.min { $0.0 < $1.0 }
      let count = Shown.count(UInt64(sources.count), "schedule")
      guard let next else { return [.ok("schedules", "\(count) in \(schedulesFolder), none by the clock")] }
      return [
        .ok(
          "schedules",
          "\(count) in \(schedulesFolder); next is \(next.1) at "
            + Timestamps.text(UInt64(max(0, next.0.milliseconds))))
      ]
    } catch {
      return [
        .fail(
          "schedules", "\(error)", meaning: "the daemon does not start with it",
          remedy: "mend that line; jobs/nightly-embeddings.yaml explains every key")
      ]
    }
  }
}
