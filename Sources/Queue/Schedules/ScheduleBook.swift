import Synchronization

// Two origins, one name space: files of the daemon's schedules folder, read at its start, and definitions that an
// operator added at run time, kept in the queue's database.
// - A file wins: what is kept beside the deployment is what was meant. An added schedule of the same name, or of an
//   inbox that a file's schedule owns, is kept but not in force, and the list says so.
// - `add` refuses such a name or inbox, so that the case comes about only when a file appears later.
// - A pause belongs to the name, whatever the origin, and outlives restarts.
// - A paused schedule still owns its inbox: its bundles go on to be held.

/// One schedule and whether it is in force.
package struct ScheduleEntry: Hashable, Sendable {
  /// Where the definition comes from.
  package enum Origin: Hashable, Sendable {
    /// A file of the folder, by its name.
    case file(String)
    /// Added by an operator.
    case added(at: Timestamp)
  }

  package let name: String
  package let origin: Origin
  /// The definition as it was written.
  package let text: String
  /// Nil when the text cannot be read by this version.
  package let definition: ScheduleDefinition?
  package let pausedAt: Timestamp?
  /// Why it is not in force; nil for one that is.
  package let trouble: String?
}

/// What ``ScheduleBook/add(_:file:replacing:at:)`` did.
package enum ScheduleAddition: String, Sendable {
  case added
  case replaced
  /// The very same definition was there.
  case unchanged
}

/// All schedules of a daemon, while they come and go.
package final class ScheduleBook: Sendable {
  private let folder: Mutex<[ScheduleSource]>
  private let store: any ScheduleStore
  private let page: Mutex<[ScheduleEntry]>
  /// The longest definition that can be added, in bytes.
  package static let textLimit = 32 << 10

  /// - Parameter files: what the folder holds.
  /// - Throws: ``QueueError``; a saved definition that cannot be read is no error but an entry with trouble.
  package init(files: [ScheduleSource], store: any ScheduleStore) throws {
    folder = Mutex(files)
    self.store = store
    page = Mutex(ScheduleBook.entries(files, try store.savedSchedules()))
  }

  private var files: [ScheduleSource] { folder.withLock { $0 } }

  /// Reads the saved definitions again, when they were changed behind the book's back.
  package func reload() throws { try reload(files: files) }

  /// Takes over what the folder holds now.
  package func reload(files: [ScheduleSource]) throws {
    try page.withLock { entries in
      entries = ScheduleBook.entries(files, try store.savedSchedules())
      folder.withLock { $0 = files }
    }
  }

  /// Every schedule by name, in force or not.
  package var entries: [ScheduleEntry] { page.withLock { $0 } }

  /// Those in force, paused ones too: each owns its inbox.
  package var inForce: [ScheduleDefinition] {
    entries.filter { $0.trouble == nil }.compactMap(\.definition)
  }

  /// Those that the clock runs.
  package var ticking: [ScheduleDefinition] {
    entries.filter { $0.trouble == nil && $0.pausedAt == nil }.compactMap(\.definition)
  }

  /// The schedule of a name: the one in force where there are two.
  package func entry(_ name: String) -> ScheduleEntry? {
    let named = entries.filter { $0.name == name }
    return named.first { $0.trouble == nil } ?? named.first
  }

  /// Adds a definition, durably; the same one again changes nothing.
  /// - Parameters:
  ///   - file: how refusals call the text.
  ///   - replacing: whether another added definition of that name gives way.
  /// - Throws: ``ScheduleError`` for a text that is no schedule, and for a name or an inbox that is taken.
  package func add(
    _ text: String, file: String, replacing: Bool, at now: Timestamp
  ) throws -> (ScheduleEntry, ScheduleAddition) {
    guard text.utf8.count <= ScheduleBook.textLimit else {
      throw ScheduleError("\(file): larger than \(ScheduleBook.textLimit) bytes")
    }
    let definition = try ScheduleFile.parse(text, file: file)
    return try page.withLock { entries in
      let (old, effect) = try Self.place(definition, text, file, replacing, in: entries)
      if effect != .unchanged {
        // A changed calendar is a new one: nothing of it was missed.
        try store.saveSchedule(
          definition.name, text: text, countsAnew: old?.definition?.calendar != definition.calendar || old == nil,
          at: now)
        entries = ScheduleBook.entries(files, try store.savedSchedules())
      }
      guard let entry = entries.first(where: { $0.name == definition.name }) else {
        throw QueueError.unavailable("schedule \(definition.name) was not kept")
      }
      return (entry, effect)
    }
  }

  /// Whether a definition may stand among the others, and what it takes the place of.
  private static func place(
    _ definition: ScheduleDefinition, _ text: String, _ file: String, _ replacing: Bool, in entries: [ScheduleEntry]
  ) throws -> (ScheduleEntry?, ScheduleAddition) {
    for entry in entries where entry.trouble == nil && entry.name != definition.name {
      guard entry.definition?.queue != definition.queue else {
        throw ScheduleError("\(file): schedule \(entry.name) already takes what is in the inbox \(definition.queue)")
      }
    }
    for entry in entries where entry.name == definition.name {
      if case .file(let other) = entry.origin {
        throw ScheduleError("\(file): \(definition.name) is defined by the file \(other) of the schedules folder")
      }
    }
    guard let old = entries.first(where: { $0.name == definition.name }) else { return (nil, .added) }
    if old.text == text { return (old, .unchanged) }
    guard replacing else {
      throw ScheduleError("\(file): there is another schedule \(definition.name); --replace puts this in its place")
    }
    return (old, .replaced)
  }

  /// Removes an added definition, durably. Its runs and jobs stay.
  /// - Returns: false when there is none; a second call changes nothing.
  package func remove(_ name: String) throws -> Bool {
    try page.withLock { entries in
      guard try store.savedSchedules().contains(where: { $0.name == name && $0.text != nil }) else { return false }
      try store.removeSchedule(name)
      entries = ScheduleBook.entries(files, try store.savedSchedules())
      return true
    }
  }

  /// Pauses or resumes, durably; twice is as good as once.
  package func setPaused(_ isPaused: Bool, _ name: String, at now: Timestamp) throws {
    try page.withLock { entries in
      try store.setPaused(isPaused, schedule: name, at: now)
      entries = ScheduleBook.entries(files, try store.savedSchedules())
    }
  }

  private static func entries(_ files: [ScheduleSource], _ saved: [SavedSchedule]) -> [ScheduleEntry] {
    let pauses = Dictionary(uniqueKeysWithValues: saved.map { ($0.name, $0.pausedAt) })
    var entries = files.map { source in
      ScheduleEntry(
        name: source.definition.name, origin: .file(source.file), text: source.text, definition: source.definition,
        pausedAt: pauses[source.definition.name] ?? nil, trouble: nil)
    }
    for schedule in saved {
      guard let text = schedule.text, let addedAt = schedule.addedAt else { continue }
      var definition: ScheduleDefinition?
      var trouble: String?
      do {
        definition = try ScheduleFile.parse(text, file: schedule.name)
        let rival = entries.first {
          $0.trouble == nil && ($0.name == schedule.name || $0.definition?.queue == definition?.queue)
        }
        if let rival { trouble = "schedule \(rival.name)\(rival.fileWords) has its name or its inbox" }
      } catch {
        trouble = "it cannot be read: \(error)"
      }
      entries.append(
        ScheduleEntry(
          name: schedule.name, origin: .added(at: addedAt), text: text, definition: definition,
          pausedAt: schedule.pausedAt, trouble: trouble))
    }
    return entries.sorted { $0.name < $1.name }
  }
}

extension ScheduleEntry {
  /// ` of the file x.yaml`, or nothing.
  fileprivate var fileWords: String {
    if case .file(let file) = origin { " of the file \(file)" } else { "" }
  }
}
