/// What is remembered of a schedule beside its runs.
package struct SavedSchedule: Hashable, Sendable {
  package let name: String
  /// The YAML text of one that was added at run time; nil for one of the folder, which is here because it is paused.
  package let text: String?
  package let addedAt: Timestamp?
  package let pausedAt: Timestamp?

  package init(name: String, text: String?, addedAt: Timestamp?, pausedAt: Timestamp?) {
    self.name = name
    self.text = text
    self.addedAt = addedAt
    self.pausedAt = pausedAt
  }
}

/// Definitions that operators added, and which schedules are paused. A call that returned has taken effect durably, and
/// one that threw has not taken effect at all.
package protocol ScheduleStore: Sendable {
  /// Everything, by name.
  func savedSchedules() throws -> [SavedSchedule]

  /// Adds or replaces a definition; a pause stays.
  /// - Parameter countsAnew: nominal times count from `now`: none before it is made up for.
  func saveSchedule(_ name: String, text: String, countsAnew: Bool, at now: Timestamp) throws

  /// Forgets a definition and its pause; runs and jobs stay.
  func removeSchedule(_ name: String) throws

  /// Pauses a schedule (keeping the time of an earlier pause) or ends its pause.
  func setPaused(_ isPaused: Bool, schedule name: String, at now: Timestamp) throws
}
