/// Performs what the ``SchedulerMachine`` of each schedule decides. Used by one thread.
package struct SchedulerDriver {
  private let machines: [SchedulerMachine]
  private let store: any QueueStore
  /// The most runs that one schedule makes up for in one turn; the rest follow in the next.
  static let actionsPerTurn = 100

  package init(_ definitions: [ScheduleDefinition], store: any QueueStore) {
    machines = definitions.map(SchedulerMachine.init)
    self.store = store
  }

  /// What one turn did.
  package struct Turn: Hashable, Sendable {
    /// Runs that were opened: schedule and run.
    package var opened: [String: [RunID]] = [:]
    /// Runs that a kill or an error had cut short, and that have all of their members now.
    package var filled: [RunID] = []
    /// Nominal times that were passed over.
    package var skipped: [String: [SkipReason]] = [:]
    /// When the next schedule is due; nil when none ever is.
    package var nextDue: Timestamp?
  }

  /// Opens every run that is due.
  package func turn(at now: Timestamp) throws -> Turn {
    var turn = Turn()
    turn.filled = try store.fillRuns()
    for machine in machines {
      let name = machine.definition.name
      var due: Timestamp? = now
      actions: for _ in 0..<SchedulerDriver.actionsPerTurn {
        switch machine.next(try store.standing(of: name, at: now), at: now) {
        case .open(let run):
          if case .opened(let id, _) = try store.openRun(run, at: now) { turn.opened[name, default: []].append(id) }
        case .skip(let nominalAt, let reason):
          try store.skipRun(schedule: name, nominalAt: nominalAt, reason: reason, at: now)
          turn.skipped[name, default: []].append(reason)
        case .wait(let until):
          due = until
          break actions
        }
      }
      if let due { turn.nextDue = min(due, turn.nextDue ?? due) }
    }
    return turn
  }

  /// Runs a schedule once, at an operator's word.
  /// - Returns: the run and the number of bundles that it took; nil for a schedule that does not exist.
  package func runNow(_ schedule: String, at now: Timestamp) throws -> (run: RunID, members: Int64)? {
    guard let machine = machines.first(where: { $0.definition.name == schedule }) else { return nil }
    // Two requests within one millisecond are two runs.
    for later in 0..<Int64(1_000) {
      if case .opened(let run, let members) = try store.openRun(machine.runNow(at: now + .milliseconds(later)), at: now)
      {
        return (run, members)
      }
    }
    return nil
  }
}
