// Migration 2: what keeps every call's cost flat, and what lets ended jobs go.
// - Counters instead of counts: `job_counts` (jobs by lane and state) and `runs.open_members` are kept by triggers, in
//   the very transaction that moves a job, so they cannot drift; `integrityFaults` compares them with the rows.
// - A job's row may go only after its bundle was cleared from the inbox, and its name stays behind in `pruned`, so that
//   a bundle that comes back is not run again.

extension QueueSchema {
  static let retention = """
    ALTER TABLE jobs ADD COLUMN heartbeat_at INTEGER;
    -- The tenant whose folder holds the bundle, where that is another than the lane's (a queue has so many lanes).
    ALTER TABLE jobs ADD COLUMN tenant TEXT;
    -- Set when the janitor has seen that the job's end is durable in the object store (a commit and its receipt, or no
    -- commit at all for a job that ended without) and takes its bundle out of the inbox.
    ALTER TABLE jobs ADD COLUMN inbox_cleared_at INTEGER
      CHECK (inbox_cleared_at IS NULL OR state IN ('finished', 'cancelled', 'dead'));

    -- Jobs by lane and state. Every lane has all states.
    CREATE TABLE job_counts (
      lane INTEGER NOT NULL REFERENCES lanes (id) ON DELETE CASCADE,
      state TEXT NOT NULL
        CHECK (state IN ('held', 'ready', 'running', 'retry_wait', 'finished', 'cancelled', 'dead')),
      jobs INTEGER NOT NULL CHECK (jobs >= 0),
      PRIMARY KEY (lane, state)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER lanes_counts AFTER INSERT ON lanes
    BEGIN
      INSERT INTO job_counts (lane, state, jobs) VALUES (NEW.id, 'held', 0), (NEW.id, 'ready', 0),
        (NEW.id, 'running', 0), (NEW.id, 'retry_wait', 0), (NEW.id, 'finished', 0), (NEW.id, 'cancelled', 0),
        (NEW.id, 'dead', 0);
    END;
    INSERT INTO job_counts (lane, state, jobs)
      SELECT lanes.id, states.column1,
        (SELECT COUNT(*) FROM jobs WHERE jobs.lane = lanes.id AND jobs.state = states.column1)
      FROM lanes, (VALUES ('held'), ('ready'), ('running'), ('retry_wait'), ('finished'), ('cancelled'), ('dead'))
        AS states;
    CREATE TRIGGER jobs_count_new AFTER INSERT ON jobs
    BEGIN UPDATE job_counts SET jobs = jobs + 1 WHERE lane = NEW.lane AND state = NEW.state; END;
    CREATE TRIGGER jobs_count_moved AFTER UPDATE OF state ON jobs WHEN NEW.state <> OLD.state
    BEGIN
      UPDATE job_counts SET jobs = jobs + CASE state WHEN NEW.state THEN 1 ELSE -1 END
      WHERE lane = NEW.lane AND state IN (OLD.state, NEW.state);
    END;
    CREATE TRIGGER jobs_count_gone AFTER DELETE ON jobs
    BEGIN UPDATE job_counts SET jobs = jobs - 1 WHERE lane = OLD.lane AND state = OLD.state; END;

    -- Members of a run that have not ended.
    ALTER TABLE runs ADD COLUMN open_members INTEGER NOT NULL DEFAULT 0 CHECK (open_members >= 0);
    UPDATE runs SET open_members =
      (SELECT COUNT(*) FROM jobs WHERE jobs.run = runs.id AND jobs.finished_at IS NULL);
    CREATE TRIGGER jobs_member_new AFTER INSERT ON jobs WHEN NEW.run IS NOT NULL AND NEW.finished_at IS NULL
    BEGIN UPDATE runs SET open_members = open_members + 1 WHERE id = NEW.run; END;
    CREATE TRIGGER jobs_member_moved AFTER UPDATE OF run, finished_at ON jobs
    WHEN NEW.run IS NOT OLD.run OR (NEW.finished_at IS NULL) <> (OLD.finished_at IS NULL)
    BEGIN
      UPDATE runs SET open_members = open_members - 1 WHERE id = OLD.run AND OLD.finished_at IS NULL;
      UPDATE runs SET open_members = open_members + 1 WHERE id = NEW.run AND NEW.finished_at IS NULL;
    END;
    CREATE INDEX runs_open ON runs (schedule) WHERE open_members > 0;
    CREATE INDEX runs_opened ON runs (opened_at);

    -- Lanes that have something to claim, turns, the oldest of a lane; lists by state; the janitor's two questions.
    CREATE INDEX lanes_waiting ON job_counts (lane) WHERE state = 'ready' AND jobs > 0;
    CREATE INDEX lanes_turn ON lanes (last_turn);
    CREATE INDEX jobs_oldest ON jobs (lane, ready_at) WHERE state = 'ready';
    DROP INDEX jobs_lane;
    CREATE INDEX jobs_lane ON jobs (lane);
    CREATE INDEX jobs_state ON jobs (state);
    DROP INDEX jobs_run;
    CREATE INDEX jobs_run ON jobs (run, id, state, outcome) WHERE run IS NOT NULL;
    CREATE INDEX jobs_uncleared ON jobs (state, finished_at) WHERE finished_at IS NOT NULL AND inbox_cleared_at IS NULL;
    CREATE INDEX jobs_prunable ON jobs (state, finished_at)
      WHERE finished_at IS NOT NULL AND inbox_cleared_at IS NOT NULL;
    CREATE INDEX cancels_age ON cancels (recorded_at);

    -- As before, except that a finished job's bundle may leave the inbox.
    DROP TRIGGER jobs_final;
    CREATE TRIGGER jobs_final BEFORE UPDATE OF id, name, lane, priority, bundle_bytes, state, run, enqueued_at, ready_at,
      next_attempt_at, attempt, faults, strikes, lease_token, lease_until, deadline_at, owner, cancel_requested_at,
      last_fault, commit_attempt, outcome, receipt, finished_at, heartbeat_at, tenant ON jobs
    WHEN OLD.state = 'finished' OR NEW.attempt < OLD.attempt OR NEW.name <> OLD.name
    BEGIN SELECT RAISE(ABORT, 'a final value of a job was changed'); END;

    -- Names of jobs whose rows are gone.
    CREATE TABLE pruned (
      name BLOB PRIMARY KEY NOT NULL CHECK (length(name) = 32),
      ended_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX pruned_age ON pruned (ended_at);
    CREATE TRIGGER jobs_kept BEFORE DELETE ON jobs WHEN OLD.inbox_cleared_at IS NULL
    BEGIN SELECT RAISE(ABORT, 'a job was deleted whose end was not seen to be durable'); END;
    CREATE TRIGGER jobs_pruned AFTER DELETE ON jobs
    BEGIN INSERT INTO pruned (name, ended_at) VALUES (OLD.name, OLD.finished_at) ON CONFLICT DO NOTHING; END;
    CREATE TRIGGER jobs_known BEFORE INSERT ON jobs WHEN EXISTS (SELECT 1 FROM pruned WHERE name = NEW.name)
    BEGIN SELECT RAISE(IGNORE); END;
    """
}
