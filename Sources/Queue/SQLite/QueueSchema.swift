import GRDB

// The schema is the last line of defence: what it refuses cannot be stored, whatever the code above gets wrong.
// Migrations are frozen text; a changed enum needs a new migration, and a test holds the enums to the schema.
// Times are epoch milliseconds. Debian 12's SQLite 3.40.1 is enough: STRICT tables, RETURNING, partial indexes.

/// The queue's tables and their history.
enum QueueSchema {
  static let migrator: DatabaseMigrator = {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1 jobs") { db in try db.execute(sql: jobs) }
    migrator.registerMigration("2 retention") { db in try db.execute(sql: retention) }
    migrator.registerMigration("3 schedules") { db in try db.execute(sql: schedules) }
    migrator.registerMigration("4 meta") { db in try db.execute(sql: meta) }
    migrator.registerMigration("5 runs") { db in try db.execute(sql: runs) }
    return migrator
  }()

  private static let jobs = """
    CREATE TABLE queues (
      name TEXT PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
      paused_at INTEGER
    ) STRICT;

    -- A lane is one tenant's share of one queue ('' when tenants are not told apart). Lanes take turns: the one whose
    -- last_turn is smallest goes first.
    CREATE TABLE lanes (
      id INTEGER PRIMARY KEY,
      queue TEXT NOT NULL REFERENCES queues (name),
      tenant TEXT NOT NULL,
      last_turn INTEGER NOT NULL DEFAULT 0,
      UNIQUE (queue, tenant)
    ) STRICT;

    CREATE TABLE runs (
      id INTEGER PRIMARY KEY,
      schedule TEXT NOT NULL CHECK (length(schedule) BETWEEN 1 AND 64),
      nominal_at INTEGER NOT NULL,
      cause TEXT NOT NULL CHECK (cause IN ('clock', 'operator')),
      opened_at INTEGER NOT NULL,
      skipped TEXT CHECK (skipped IN ('overlap', 'too_late', 'catchup', 'added')),
      UNIQUE (schedule, nominal_at)
    ) STRICT;

    CREATE TABLE jobs (
      id INTEGER PRIMARY KEY,
      name BLOB NOT NULL UNIQUE CHECK (length(name) = 32),
      lane INTEGER NOT NULL REFERENCES lanes (id),
      priority INTEGER NOT NULL,
      bundle_bytes INTEGER NOT NULL CHECK (bundle_bytes >= 0),
      state TEXT NOT NULL
        CHECK (state IN ('held', 'ready', 'running', 'retry_wait', 'finished', 'cancelled', 'dead')),
      run INTEGER REFERENCES runs (id),
      enqueued_at INTEGER NOT NULL,
      ready_at INTEGER NOT NULL,
      next_attempt_at INTEGER,
      attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
      faults INTEGER NOT NULL DEFAULT 0 CHECK (faults >= 0),
      strikes INTEGER NOT NULL DEFAULT 0 CHECK (strikes BETWEEN 0 AND faults),
      lease_token INTEGER,
      lease_until INTEGER,
      deadline_at INTEGER,
      owner TEXT,
      cancel_requested_at INTEGER,
      last_fault TEXT,
      commit_attempt INTEGER CHECK (commit_attempt >= 0),
      outcome TEXT CHECK (outcome IN ('completed', 'partial', 'failed', 'refused')),
      receipt BLOB CHECK (length(receipt) = 32),
      finished_at INTEGER,
      CHECK ((state = 'running') = (lease_token IS NOT NULL)),
      CHECK ((state = 'running') = (lease_until IS NOT NULL)),
      CHECK ((state = 'running') = (deadline_at IS NOT NULL)),
      CHECK ((state = 'running') = (owner IS NOT NULL)),
      CHECK ((state = 'retry_wait') = (next_attempt_at IS NOT NULL)),
      CHECK ((state IN ('finished', 'cancelled', 'dead')) = (finished_at IS NOT NULL)),
      CHECK ((state = 'finished') = (outcome IS NOT NULL)),
      CHECK ((state = 'finished') = (commit_attempt IS NOT NULL)),
      CHECK ((state = 'finished') = (receipt IS NOT NULL)),
      CHECK (state <> 'held' OR attempt = 0)
    ) STRICT;

    CREATE INDEX jobs_ready ON jobs (lane, priority DESC, ready_at, id) WHERE state = 'ready';
    CREATE INDEX jobs_retry ON jobs (next_attempt_at) WHERE state = 'retry_wait';
    CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
    CREATE INDEX jobs_held ON jobs (lane, id) WHERE state = 'held';
    CREATE INDEX jobs_run ON jobs (run, state) WHERE run IS NOT NULL;
    CREATE INDEX jobs_lane ON jobs (lane, state);

    -- The legal moves of JobState.swift.
    CREATE TRIGGER jobs_moves BEFORE UPDATE OF state ON jobs
    WHEN OLD.state <> NEW.state AND NOT (
      (OLD.state = 'held' AND NEW.state IN ('ready', 'cancelled', 'finished'))
      OR (OLD.state = 'ready' AND NEW.state IN ('running', 'cancelled', 'finished'))
      OR (OLD.state = 'running' AND NEW.state IN ('ready', 'retry_wait', 'finished', 'cancelled', 'dead'))
      OR (OLD.state = 'retry_wait' AND NEW.state IN ('ready', 'finished'))
      OR (OLD.state = 'cancelled' AND NEW.state = 'finished')
      OR (OLD.state = 'dead' AND NEW.state IN ('ready', 'finished')))
    BEGIN SELECT RAISE(ABORT, 'illegal move of a job'); END;

    -- A finished job never changes; attempts and names never go back.
    CREATE TRIGGER jobs_final BEFORE UPDATE ON jobs
    WHEN OLD.state = 'finished' OR NEW.attempt < OLD.attempt OR NEW.name <> OLD.name
    BEGIN SELECT RAISE(ABORT, 'a final value of a job was changed'); END;

    CREATE TABLE attempts (
      job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
      number INTEGER NOT NULL CHECK (number > 0),
      owner TEXT NOT NULL,
      started_at INTEGER NOT NULL,
      ended_at INTEGER,
      ending TEXT CHECK (ending IN ('finished', 'faulted', 'released', 'cancelled', 'gave_up', 'superseded')),
      fault TEXT,
      detail TEXT,
      PRIMARY KEY (job, number),
      CHECK ((ended_at IS NULL) = (ending IS NULL)),
      CHECK (fault IS NULL OR ending = 'faulted')
    ) STRICT, WITHOUT ROWID;

    -- Cancel statements that were seen, by the digest of their bytes. The job may arrive later.
    CREATE TABLE cancels (
      statement BLOB PRIMARY KEY NOT NULL CHECK (length(statement) = 32),
      job BLOB NOT NULL CHECK (length(job) = 32),
      recorded_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX cancels_job ON cancels (job);
    """

  /// Facts about the file itself (DatabaseMeta.swift). Its form stays, so that any program can ask any file.
  private static let meta = """
    CREATE TABLE meta (
      name TEXT PRIMARY KEY NOT NULL,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    """
}
