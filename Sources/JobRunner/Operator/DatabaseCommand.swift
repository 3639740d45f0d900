import ArgumentParser
import Client
import Foundation
import Queue

/// `ephemeral db`: the queue's database. While the daemon runs, it does the work; otherwise the command opens the file.
struct DatabaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "db", abstract: "Check, back up, migrate and rebuild the queue's database (for the host's operator).",
    discussion: """
      The daemon's file is never opened beside the daemon: while one runs, these verbs go through its socket. When none
      runs, they open the file in the state folder alone, and no daemon can start meanwhile.

      Losing the database loses no result: the daemon rebuilds it from the store (docs/operations/recovery.md).
      """,
    subcommands: [Check.self, Backup.self, Migrate.self, Rebuild.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read the whole database and say what is wrong with it.",
      discussion: """
        SQLite's integrity and reference checks, the schema, and what this program promises of its rows. The running
        daemon checks a copy that it makes for it in its state folder, so no job waits; it needs room for that.
        Exit codes: 0 sound, 1 damaged, 3 sound with warnings.
        """)
    @Option(help: "Check this backup instead; nothing else is opened.") var file: String?
    @OptionGroup var database: DatabaseOptions

    func run() throws {
      let reply: OperatorReply
      if let file {
        let path = StateFolder.absolute(file)
        guard FileManager.default.fileExists(atPath: path) else {
          throw ClientError(.notFound, "there is no file \(path)", remedy: "name a backup")
        }
        reply = try DatabaseOptions.withRemedies {
          DatabaseAnswer.checked(try StoppedDatabase.check(backup: path), path)
        }
      } else {
        reply = try database.answer(to: OperatorRequest(verb: .databaseCheck)) { path in
          try DatabaseOptions.withFile(path) { DatabaseAnswer.checked(try $0.check(), path) }
        }
      }
      database.daemon.show(reply)
      let status = DatabaseAnswer.status(reply)
      if status != .done { throw ExitCode(status.rawValue) }
    }
  }

  struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Copy the database to a new file, checked, durable, and with mode 0600.",
      discussion: """
        The queue works on meanwhile. The file has its name only once it is whole and was checked; none is overwritten.
        With --keep, TARGET is a folder: the file is named by the time, and of those named so only the newest stay.

        Example, nightly:
          ephemeral db backup /var/lib/ephemeral/backups --keep 14 --socket /var/lib/ephemeral/daemon.sock
        """)
    @Argument(help: "A new file, or with --keep a folder.") var target: String
    @Option(help: "Keep so many backups in the folder.") var keep: Int?
    @OptionGroup var database: DatabaseOptions

    func validate() throws {
      guard keep.map({ (1...10_000).contains($0) }) ?? true else {
        throw ValidationError("--keep takes 1 to 10000.")
      }
    }

    func run() throws {
      let path = StateFolder.absolute(target)
      let request = OperatorRequest(verb: .databaseBackup, path: path, keep: keep)
      let reply = try database.answer(to: request) { file in
        try DatabaseOptions.withFile(file) { database in
          guard let keep else { return DatabaseAnswer.backedUp(try database.backUp(to: path)) }
          return DatabaseAnswer.backedUp(
            try database.backUp(into: BackupFolder(path: path, kind: .asked, keep: keep)))
        }
      }
      database.daemon.show(reply)
    }
  }

  struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Bring an older database to this version's schema, behind a backup.",
      discussion: """
        The daemon does the same when it starts. The backup goes to backups/ in the state folder; the newest five of
        before migrations stay. There is no way back but that backup, with the older program.
        """)
    @Flag(help: "Only say what would be done.") var dryRun = false
    @OptionGroup var database: DatabaseOptions

    func run() throws {
      let reply = try database.answer(to: OperatorRequest(verb: .databaseMigrate, dryRun: dryRun)) { path in
        try DatabaseOptions.withFile(path) { database in
          let version = try database.version()
          // What is newer than this program is refused in the dry run too.
          if dryRun, !version.isNewer { return DatabaseAnswer.migrated(version, nil, isDryRun: true) }
          let folder = (path as NSString).deletingLastPathComponent
          let backup = try database.migrate(program: Version.text, backups: StateFolder.migrationBackups(folder))
          return DatabaseAnswer.migrated(version, backup, isDryRun: false)
        }
      }
      database.daemon.show(reply)
    }
  }

  struct Rebuild: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Have the running daemon adopt what the store knows and its database does not.",
      discussion: """
        A daemon that starts on a new database, or on a copy that is older than the store, does this by itself before it
        claims anything. A job whose commit stands in the store is finished, and never runs again.
        """)
    @OptionGroup var database: DatabaseOptions

    func run() throws {
      let reply = try database.answer(to: OperatorRequest(verb: .databaseRebuild)) { _ in
        throw ClientError(
          .retryable, "no daemon answers",
          remedy: "start it: it compares database and store before it claims anything", by: .operator_)
      }
      database.daemon.show(reply)
    }
  }
}
