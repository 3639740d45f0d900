import ObjectStore
import Queue

// The store's records of runs and settings, and the queue's words for the same.

extension RunRecord {
  init(_ run: NotedRun) {
    self.init(
      schedule: run.schedule, nominalMs: run.nominalAt.milliseconds, cause: run.trigger.rawValue,
      openedMs: run.openedAt.milliseconds, skipped: run.skipped?.rawValue)
  }

  /// Nil for what no daemon writes.
  var run: NotedRun? {
    guard QueueName(schedule) != nil, let trigger = RunTrigger(rawValue: cause) else { return nil }
    let reason = skipped.flatMap(SkipReason.init)
    guard (reason == nil) == (skipped == nil) else { return nil }
    return NotedRun(
      schedule: schedule, nominalAt: Timestamp(milliseconds: nominalMs), trigger: trigger,
      openedAt: Timestamp(milliseconds: openedMs), skipped: reason)
  }
}

extension SettingsRecord {
  init(_ settings: QueueSettings) {
    self.init(
      pausedQueues: Dictionary(
        uniqueKeysWithValues: settings.pausedQueues.map { ($0.key.rawValue, $0.value.milliseconds) }),
      schedules: settings.schedules.map {
        Schedule(
          name: $0.name, text: $0.text, addedMs: $0.addedAt?.milliseconds, pausedMs: $0.pausedAt?.milliseconds)
      })
  }

  /// What cannot be a queue's or a schedule's is left out.
  var settings: QueueSettings {
    var paused: [QueueName: Timestamp] = [:]
    for (name, moment) in pausedQueues {
      if let name = QueueName(name) { paused[name] = Timestamp(milliseconds: moment) }
    }
    let kept = schedules.filter {
      QueueName($0.name) != nil && ($0.text == nil) == ($0.addedMs == nil) && ($0.text ?? "x").isEmpty == false
        && ($0.text != nil || $0.pausedMs != nil)
    }
    return QueueSettings(
      pausedQueues: paused,
      schedules: kept.map {
        SavedSchedule(
          name: $0.name, text: $0.text, addedAt: $0.addedMs.map(Timestamp.init),
          pausedAt: $0.pausedMs.map(Timestamp.init))
      })
  }
}
