/// What happens to nominal times that passed while no daemon was there to meet them.
package enum Catchup: String, CaseIterable, Sendable {
  /// The newest one stands for all.
  case latest
  /// Each gets its run, in order.
  case all
  /// None is made up for.
  case none
}

/// What happens when a nominal time comes and members of an earlier run have not ended.
package enum Overlap: String, CaseIterable, Sendable {
  /// The nominal time is passed over; what waits in the inbox goes to the next one.
  case skip
  /// The new run is opened too, and its members wait their turn behind the others.
  case queue
  /// The new run takes over what the earlier ones have not begun; what is running goes on. No bundle is dropped.
  case replace
}

/// A schedule as its file in `jobs/` describes it.
package struct ScheduleDefinition: Hashable, Sendable {
  /// 1 to 64 of `a-z 0-9 - _`.
  package let name: String
  /// For people.
  package let summary: String?
  /// The queue, and the inbox folder, whose bundles its runs take.
  package let queue: QueueName
  /// When it is due; nil for one that is only run by hand.
  package let calendar: CronCalendar?
  package let catchup: Catchup
  package let overlap: Overlap
  /// A run that would begin later than this after its nominal time is passed over.
  package let startingDeadline: Duration?
  package let priority: Int64
  /// What its clients mean to run; the worker believes only their sealed manifests.
  package let operation: String?
  /// The model that its clients mean, by name or manifest digest; likewise.
  package let model: String?
}
