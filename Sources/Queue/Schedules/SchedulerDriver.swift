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
  package func turn(by clock: any QueueClock) throws -> Turn {
    var turn = Turn()
    turn.filled = try store.fillRuns()
    let now = clock.now()
    for machine in machines {
      let name = machine.definition.name
      var due: Timestamp? = now
      try setAsideStrays(of: name, at: now, by: clock)
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

  /// Sets aside what a clock opened before it was set back. Left where it is, such a nominal time would pass for the last
  /// one from the moment it comes near, and whatever the schedule missed before it would never run.
  private func setAsideStrays(of schedule: String, at now: Timestamp, by clock: any QueueClock) throws {
    let ahead = try store.clockRuns(of: schedule, after: now + ScheduleStanding.strayAfter)
    guard !ahead.isEmpty else { return }
    // Read after the runs were seen: `now` may be an hour old (a machine that slept), and they have been opened rightly
    // since.
    let reading = clock.now()
    guard reading >= ScheduleStanding.clockFloor else { return }
    let strays = ahead.filter { $0.value > reading + ScheduleStanding.strayAfter }
    if !strays.isEmpty { try store.setAside(strays.keys.sorted { $0.rawValue < $1.rawValue }) }
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
