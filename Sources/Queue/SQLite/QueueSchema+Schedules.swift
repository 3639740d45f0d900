extension QueueSchema {
  /// "3 schedules": what `schedule add` and `schedule pause` have to remember. Runs are in `runs` since the beginning.
  static let schedules = """
    -- A definition that was added at run time, as its YAML text; a schedule of the folder has none here, and a row only
    -- while it is paused.
    CREATE TABLE schedules (
      name TEXT PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
      definition TEXT CHECK (length(definition) BETWEEN 1 AND 65536),
      added_at INTEGER,
      paused_at INTEGER,
      CHECK ((definition IS NULL) = (added_at IS NULL)),
      CHECK (definition IS NOT NULL OR paused_at IS NOT NULL)
    ) STRICT, WITHOUT ROWID;
    """
}
