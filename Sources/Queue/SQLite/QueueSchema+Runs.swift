extension QueueSchema {
  /// "5 runs": a run of many members is filled in steps, and what became of members is known beyond their rows.
  static let runs = """
    -- While a run is being filled: the queue whose held jobs are its members, and the last of them. A daemon that finds
    -- such a run goes on with it.
    ALTER TABLE runs ADD COLUMN filling TEXT;
    ALTER TABLE runs ADD COLUMN filling_through INTEGER CHECK ((filling IS NULL) = (filling_through IS NULL));
    -- Whether it takes over what waits of earlier runs (overlap: replace).
    ALTER TABLE runs ADD COLUMN takes_over INTEGER NOT NULL DEFAULT 0 CHECK (takes_over IN (0, 1));
    -- Whether it had members of which nothing is known here: their rows went before they were counted, or the run took
    -- place under another database.
    ALTER TABLE runs ADD COLUMN has_unknown INTEGER NOT NULL DEFAULT 0 CHECK (has_unknown IN (0, 1));
    UPDATE runs SET has_unknown = 1
    WHERE skipped IS NULL AND EXISTS (SELECT 1 FROM pruned WHERE pruned.ended_at >= runs.opened_at);
    CREATE INDEX runs_filling ON runs (id) WHERE filling IS NOT NULL;

    -- Members whose rows are gone, by how they ended; outcome is '' where there was none.
    CREATE TABLE run_pruned (
      run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
      state TEXT NOT NULL CHECK (state IN ('finished', 'cancelled', 'dead')),
      outcome TEXT NOT NULL CHECK (outcome IN ('', 'completed', 'partial', 'failed', 'refused')),
      jobs INTEGER NOT NULL CHECK (jobs > 0),
      PRIMARY KEY (run, state, outcome)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER jobs_pruned_member AFTER DELETE ON jobs WHEN OLD.run IS NOT NULL
    BEGIN
      INSERT INTO run_pruned (run, state, outcome, jobs) VALUES (OLD.run, OLD.state, COALESCE(OLD.outcome, ''), 1)
      ON CONFLICT (run, state, outcome) DO UPDATE SET jobs = jobs + 1;
    END;
    """
}
