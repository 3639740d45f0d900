// What a schedule does next, from what it has done so far. No clock and no store: the driver asks, performs one answer,
// and asks again until the answer is to wait. Every answer but `wait` moves the schedule's last nominal time on, so the
// questions end; unique (schedule, nominal time) in the store makes a repeated answer harmless.

/// What the store knows about a schedule.
package struct ScheduleStanding: Hashable, Sendable {
  /// The last nominal time that was opened or passed over; nil when the schedule has never been seen.
  package let lastNominalAt: Timestamp?
  /// Whether members of an earlier run have not ended.
  package let hasOpenRun: Bool
  /// A nominal time is never ahead of the clock that it was opened by. One that is less than this ahead stands all the same:
  /// a reading of the clock may be old by now, and after a small step back a night must not run twice. What passes within
  /// it, the next run takes.
  package static let strayAfter = Duration.seconds(3600)
  /// 1 January 2025. A clock before it has not been set yet (a machine without a battery wakes in 1970), and is no reason
  /// to take recorded times for wrong.
  package static let clockFloor = Timestamp(milliseconds: 1_735_689_600_000)

  package init(lastNominalAt: Timestamp?, hasOpenRun: Bool) {
    self.lastNominalAt = lastNominalAt
    self.hasOpenRun = hasOpenRun
  }
}

package enum ScheduleAction: Hashable, Sendable {
  /// ``QueueStore/openRun(_:at:)``
  case open(NewRun)
  /// ``QueueStore/skipRun(schedule:nominalAt:reason:at:)``
  case skip(nominalAt: Timestamp, SkipReason)
  /// Nothing is due before this moment; nil when never.
  case wait(until: Timestamp?)
}

/// The decisions of one schedule.
package struct SchedulerMachine: Sendable {
  package let definition: ScheduleDefinition
  /// A nominal time older than this was missed: no daemon was there to meet it.
  package static let missedAfter = Duration.seconds(120)

  package init(_ definition: ScheduleDefinition) { self.definition = definition }

  /// What to do at `now`.
  package func next(_ standing: ScheduleStanding, at now: Timestamp) -> ScheduleAction {
    guard let calendar = definition.calendar else { return .wait(until: nil) }
    guard let last = standing.lastNominalAt else { return .skip(nominalAt: now, .added) }
    guard let due = calendar.next(after: last) else { return .wait(until: nil) }
    guard due <= now else { return .wait(until: due) }
    let newest = calendar.latest(notAfter: now) ?? due
    switch definition.catchup {
    case .all: return begin(due, standing, at: now)
    case .latest: return begin(newest, standing, at: now)
    case .none:
      return now - newest > SchedulerMachine.missedAfter
        ? .skip(nominalAt: newest, .catchup) : begin(newest, standing, at: now)
    }
  }

  /// A run at an operator's word: it opens whatever else is open. Its nominal time is one that no cron expression can
  /// name (those are whole minutes), so that it never stands in the clock's way.
  package func runNow(at now: Timestamp) -> NewRun {
    run(nominalAt: now.milliseconds % 1_000 == 0 ? now + .milliseconds(1) : now, .operatorRequest)
  }

  /// What to note before a paused schedule goes on. The nights of a pause were not missed by accident, so even
  /// `catchup: all` makes up for them by one run, which takes whatever waits; nil when nothing is to be noted.
  package func resumption(_ standing: ScheduleStanding, at now: Timestamp) -> ScheduleAction? {
    guard definition.catchup == .all, let calendar = definition.calendar, let last = standing.lastNominalAt,
      let newest = calendar.latest(notAfter: now), newest > last,
      let before = calendar.latest(notAfter: newest + .milliseconds(-1)), before > last
    else { return nil }
    return .skip(nominalAt: before, .catchup)
  }

  private func begin(_ nominalAt: Timestamp, _ standing: ScheduleStanding, at now: Timestamp) -> ScheduleAction {
    if let deadline = definition.startingDeadline, now - nominalAt > deadline {
      return .skip(nominalAt: nominalAt, .tooLate)
    }
    if standing.hasOpenRun, definition.overlap == .skip { return .skip(nominalAt: nominalAt, .overlap) }
    return .open(run(nominalAt: nominalAt, .clock))
  }

  private func run(nominalAt: Timestamp, _ trigger: RunTrigger) -> NewRun {
    NewRun(
      schedule: definition.name, nominalAt: nominalAt, trigger: trigger, queue: definition.queue,
      takesOver: definition.overlap == .replace)
  }
}
