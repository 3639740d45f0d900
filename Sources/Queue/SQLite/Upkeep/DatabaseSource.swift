import GRDB

/// An open database that can be copied while it works.
protocol DatabaseSource {
  /// Runs `body` alone on the connection.
  func access<Value>(_ body: (Database) throws -> Value) throws -> Value
  /// Tells of a copy that begins (or, with nil, has ended), so that whoever closes the connection can give it up first.
  ///
  /// - Throws: while another is being made.
  func note(_ copy: DatabaseCopy?) throws
}

extension DatabaseQueue: DatabaseSource {
  func access<Value>(_ body: (Database) throws -> Value) throws -> Value { try unsafeRead(body) }
  func note(_ copy: DatabaseCopy?) {}
}

extension DatabaseSource {
  /// Copies every page into `target`, step by step.
  ///
  /// - Throws: what SQLite throws; ``QueueError/unavailable(_:)`` when the connection is closed meanwhile.
  func copy(into target: DatabaseQueue) throws {
    try target.writeWithoutTransaction { target in
      let copy = try access { source in
        let copy = try DatabaseCopy(of: source, to: target)
        do { try note(copy) } catch {
          copy.cancel()
          throw error
        }
        return copy
      }
      defer {
        // Refused where the connection was closed: then its owner has given the copy up.
        try? access { _ in
          copy.cancel()
          try note(nil)
        }
      }
      while !(try access { _ in try copy.step() }) {}
    }
  }
}
