import Wire

/// How bundles of one inbox folder are queued.
package struct InboxRoute: Hashable, Sendable {
  package let priority: Int64
  /// Whether they wait for a run of a schedule.
  package let isHeld: Bool
  /// A larger bundle is left alone.
  package let bundleBytesLimit: Int64

  /// The largest input that a worker takes, with room for padding (at most an eighth) and chunk tags.
  package static let largestBundleBytes = Int64(clamping: Limits.inputBytes / 8 * 9)

  package init(
    priority: Int64 = 0, isHeld: Bool = false, bundleBytesLimit: Int64 = InboxRoute.largestBundleBytes
  ) {
    self.priority = priority
    self.isHeld = isHeld
    self.bundleBytesLimit = bundleBytesLimit
  }
}

/// The host's table of inbox folders.
package struct InboxRoutes: Sendable {
  private let routes: [QueueName: InboxRoute]
  private let fallback: InboxRoute?

  /// - Parameter fallback: for folders that no route names; nil leaves them alone.
  package init(_ routes: [QueueName: InboxRoute] = [:], fallback: InboxRoute? = InboxRoute()) {
    self.routes = routes
    self.fallback = fallback
  }

  /// Routes that hold the bundles of each schedule's inbox for its runs.
  package init(schedules: [ScheduleDefinition], fallback: InboxRoute? = InboxRoute()) {
    var routes: [QueueName: InboxRoute] = [:]
    for schedule in schedules {
      routes[schedule.queue] = InboxRoute(priority: schedule.priority, isHeld: true)
    }
    self.init(routes, fallback: fallback)
  }

  package subscript(queue: QueueName) -> InboxRoute? { routes[queue] ?? fallback }

  /// Whether the host knows the folder by name. Anybody who may upload can make up others.
  func isNamed(_ queue: QueueName) -> Bool { routes[queue] != nil || queue.rawValue == "default" }
}
