import ObjectStore
import Queue
import Wire

/// What the host keeps in the store for the day on which it loses its database, under `host/`.
///
/// Nobody but daemons reads it, and nothing that is proven rests on it: whoever changes it can make a daemon run a night
/// twice or not at all, as whoever writes to the store can anyway.
struct HostMemory: Sendable {
  let store: any ObjectStore
  /// More databases than this have never served one store.
  private static let databasesLimit = 1000
  /// Runs of a schedule that are read back, the newest.
  static let runsPerSchedule = 1000

  /// The databases that have served the store; what cannot be read is left out.
  func marks() throws -> [DatabaseMark] {
    var keys: [ObjectKey] = []
    try store.forEach(prefix: StoreLayout.databases) { info in
      keys.append(info.key)
      return keys.count < Self.databasesLimit
    }
    return try keys.compactMap { try record(DatabaseMark.self, $0.text) }
  }

  func write(_ mark: DatabaseMark) throws {
    _ = try store.put(
      try ObjectKey(StoreLayout.database(mark.database)), try StoreRecord.encode(mark), .always)
  }

  /// Puts a run on record.
  ///
  /// - Returns: false where it was on record, which another daemon may have done.
  func write(_ run: NotedRun) throws -> Bool {
    let key = try ObjectKey(StoreLayout.run(run.schedule, nominalMs: run.nominalAt.milliseconds))
    return try store.put(key, try StoreRecord.encode(RunRecord(run)), .ifAbsent) == .written
  }

  /// The newest runs on record of every schedule.
  func runs() throws -> [NotedRun] {
    var keys: [ObjectKey] = []
    var schedule = Substring()
    var first = 0
    try store.forEach(prefix: StoreLayout.runs) { info in
      let parts = info.key.text.split(separator: "/")
      guard parts.count == 4 else { return true }
      if parts[2] != schedule { (schedule, first) = (parts[2], keys.count) }
      keys.append(info.key)
      if keys.count - first > Self.runsPerSchedule { keys.remove(at: first) }
      return true
    }
    return try Lanes.map(keys) { try record(RunRecord.self, $0.text)?.run }.compactMap { $0 }
  }

  /// Pauses and added schedules as a database had them last; nil where nothing is on record.
  func settings(of database: String) throws -> QueueSettings? {
    try record(SettingsRecord.self, StoreLayout.settings(database), limit: SettingsRecord.limitBytes)?.settings
  }

  func write(_ settings: QueueSettings, of database: String) throws {
    _ = try store.put(
      try ObjectKey(StoreLayout.settings(database)), try StoreRecord.encode(SettingsRecord(settings)), .always)
  }

  /// Nil for an object that is not there or is no such record.
  func record<Record: Decodable>(
    _ type: Record.Type, _ name: String, limit: Int = StoreRecord.limitBytes
  ) throws -> Record? {
    do {
      let bytes = try store.getSmall(try ObjectKey(name), limit: limit)
      return try? StoreRecord.decode(type, bytes)
    } catch let error as ObjectStoreError where error.kind == .notFound || error.kind == .invalid {
      return nil
    }
  }
}
