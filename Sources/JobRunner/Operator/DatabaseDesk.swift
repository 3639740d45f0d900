import Queue

/// What the daemon answers to `ephemeral db`: it alone may touch the file while it runs.
struct DatabaseDesk: Sendable {
  let queue: SQLiteQueue
  let restore: StoreRestore

  func check() throws -> OperatorReply { DatabaseAnswer.checked(try queue.check(), "the running daemon's database") }

  /// - Parameters:
  ///   - path: absolute; a folder where `keep` is given.
  func backUp(to path: String?, keep: Int?) throws -> OperatorReply {
    guard let path, path.hasPrefix("/") else { return .refused("name the backup by an absolute path") }
    do {
      // What is done from now on the copy lacks. A store that is away hears of it with the next run or hour.
      defer { try? restore.noteMark() }
      guard let keep else { return DatabaseAnswer.backedUp(try queue.backUp(to: path)) }
      return DatabaseAnswer.backedUp(try queue.backUp(into: BackupFolder(path: path, kind: .asked, keep: keep)))
    } catch let error as QueueError {
      return .refused(
        "\(error)",
        remedy: "the daemon writes the file itself, as its own user: name a path that it may write to and that is not "
          + "taken, such as one below its state folder")
    }
  }

  /// A daemon has migrated before it answers.
  func migrate(isDryRun: Bool) throws -> OperatorReply {
    DatabaseAnswer.migrated(try queue.version(), nil, isDryRun: isDryRun)
  }

  /// Adopts what the store knows and the database does not, beside the jobs that run.
  func rebuild() throws -> OperatorReply {
    let counts = try restore.run(.asked).counts
    let words =
      counts == RestoreCounts()
      ? "the database knows everything that the store knows"
      : "\(counts.adopted) jobs are finished by a commit in the store, \(counts.cancelled) cancelled, "
        + "\(counts.released) released to run, \(counts.raised) with their attempts counted on"
    return .done(
      words,
      [
        "finished": .number(counts.adopted), "cancelled": .number(counts.cancelled),
        "released": .number(counts.released), "raised": .number(counts.raised),
      ])
  }
}
