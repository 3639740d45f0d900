#!/usr/bin/env python3
"""SIGKILL of daemon and worker at random moments, under a stream of many small jobs, with the real programs.

At the end every job that `submit` acknowledged must have exactly one commit, whose receipt `receipts audit --ledger`
accepts; a sample of results must open; `queue stats` and `db check` must agree that nothing was lost. Once the disk of
the daemon's state is full. The seed decides what is killed and when; how far the programs had come then, the machine.

Exit code 0: nothing was lost. 1: something was, or could not be checked; the state is kept.
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kill_test_office import Office, Trouble  # noqa: E402


class Submitter(threading.Thread):
    """Submits tiny jobs one after another until told to stop; what `submit` answered is acknowledged."""

    def __init__(self, office, seed, limit):
        super().__init__(daemon=True)
        self.office, self.random, self.limit = office, random.Random(seed), limit
        self.acknowledged, self.refused, self.fault = [], 0, None
        self.stopped, self.paused = threading.Event(), threading.Event()

    def run(self):
        try:
            while not self.stopped.is_set() and len(self.acknowledged) < self.limit:
                if self.paused.is_set():
                    time.sleep(0.05)
                    continue
                scheduled = self.office.schedule is not None and self.random.random() < 0.3
                job = self.office.submit(
                    len(self.acknowledged), self.random.choice((1, 1, 2, 30, 400)),
                    self.random.choice((None, *self.office.tenants)), scheduled)
                if job:
                    self.acknowledged.append(job)
                else:
                    self.refused += 1
                self.stopped.wait(self.random.uniform(0, 0.3))
        except Exception as fault:  # the main thread reports it
            self.fault = fault


class Killer:
    """Kills and restarts daemon and worker, and keeps count of when."""

    def __init__(self, office, seed):
        self.office, self.random = office, random.Random(seed)
        self.kills = collections.Counter()
        self.runs, self.opened = [], 0

    def once(self):
        """One or two kills at one moment, and the restarts."""
        worker = self.random.choice(self.office.workers)
        whom = self.random.choices((("daemon",), (worker,), ("daemon", worker)), weights=(6, 3, 2))[0]
        moment, seconds = self.random.choices(
            (("at its start", self.random.uniform(0, 0.15)), ("at work", self.random.uniform(0.15, 2.2))),
            weights=(2, 8))[0]
        self.begin_run()
        time.sleep(seconds)
        for name in whom:
            if self.office.kill(name):
                self.kills[f"{name}, {moment}"] += 1
        for name in whom:
            self.office.start(name)

    def begin_run(self):
        """Often an operator opens a run of the schedule; the kill may come before, within or after it."""
        if self.office.schedule is None or self.random.random() > 0.4:
            return
        self.runs = [run for run in self.runs if run.poll() is None]
        self.runs.append(self.office.begin("schedule", "run-now", self.office.schedule))
        self.opened += 1

    def end_runs(self):
        """Nobody waits any more for an answer of a daemon that is gone."""
        for run in self.runs:
            try:
                run.wait(30)
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()

    @property
    def total(self):
        return sum(self.kills.values())


def fill_disk(office, submitter, killer, seconds):
    """Leaves no byte on the disk of the daemon's state for a while; a kill in the middle makes it start on a full disk."""
    filler = office.host / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    for _ in range(3):
        time.sleep(seconds / 3)
        if office.kill("daemon"):
            killer.kills["daemon, on a full disk"] += 1
        office.start("daemon")
    said = office.log_says("daemon", "database or disk is full")
    filler.unlink()
    return said


def settle(office, jobs, seconds):
    """Waits until every job has its commit; brings back what cost too many kills. Returns how many were brought back."""
    limit, revived = time.monotonic() + seconds, 0
    while True:
        office.keep_alive()
        missing = [job for job in jobs if office.commit(job) is None]
        if not missing:
            return revived
        if time.monotonic() > limit:
            raise Trouble(f"{len(missing)} of {len(jobs)} jobs have no commit, such as {missing[0]}")
        if office.schedule is not None:
            office.operate("schedule", "run-now", office.schedule, "--json", default=None)
        for row in office.operate("queue", "list", "--state", "dead", "--json", default={}).get("jobs", ()):
            revived += office.operate("queue", "retry", row["job"], "--json", default=None) is not None
        time.sleep(0.5)


def check(office, jobs, first_commits, sample):
    """Everything that must hold at the end; raises Trouble."""
    if len(set(jobs)) != len(jobs):
        raise Trouble("two submissions have one name")
    for job, digest in first_commits.items():
        if hashlib.sha256(office.commit(job) or b"").hexdigest() != digest:
            raise Trouble(f"the commit of {job} was changed")
    stray = office.committed_jobs() - set(jobs)
    if stray:
        raise Trouble(f"jobs that nobody submitted have a commit: {sorted(stray)[:3]}")
    limit = time.monotonic() + 60
    while True:
        rows = office.operate("queue", "stats", "--json", default={}).get("queues", ())
        counts = {state: sum(row.get(state, 0) for row in rows) for state in office.states}
        if counts["finished"] == len(jobs) == sum(counts.values()):
            break
        if time.monotonic() > limit:
            raise Trouble(f"queue stats count {counts}, {len(jobs)} jobs were submitted")
        time.sleep(0.5)
    audit = office.ephemeral("receipts", "audit", office.store, "--ledger", timeout=1800)
    if audit.returncode != 0:
        raise Trouble(f"receipts audit ended with {audit.returncode}:\n{audit.stdout[-2000:]}{audit.stderr[-2000:]}")
    for job in sample:
        folder = office.folder / "results" / job[:16]
        got = office.ephemeral("results", "get", job, "--output", str(folder))
        if got.returncode != 0:
            raise Trouble(f"results get {job} ended with {got.returncode}:\n{got.stderr[-2000:]}")
        lines = (folder / "output.jsonl").read_text().count("\n")
        if lines != office.items[job]:
            raise Trouble(f"{job} has {lines} results for {office.items[job]} documents")
    database = office.operate("db", "check", "--json")
    if not database.get("sound"):
        raise Trouble(f"db check: {database}")
    return counts


def watch_commits(office, jobs, first_commits):
    for job in list(jobs):
        if job not in first_commits:
            commit = office.commit(job)
            if commit is not None:
                first_commits[job] = hashlib.sha256(commit).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("dir", "s3"), default="dir")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tenants", type=int, default=0, help="folders of the inbox beside the queue's own")
    parser.add_argument("--schedule", action="store_true", help="a third of the jobs waits for runs of a schedule")
    parser.add_argument("--minutes", type=float, default=20, help="give up after so long")
    options = parser.parse_args()
    # A file system of our own for the full disk, which goes with this process.
    has_own_disk = os.geteuid() == 0 and shutil.which("unshare")
    if has_own_disk and "KILL_TEST_UNSHARED" not in os.environ:
        os.environ["KILL_TEST_UNSHARED"] = "1"
        if subprocess.run(["unshare", "-m", "--propagation", "private", "true"], capture_output=True).returncode == 0:
            os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
        has_own_disk = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    began = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="eml-kill-"))
    office = Office(folder, options.store, has_own_disk, max(1, options.workers), max(0, options.tenants),
                    "nightly" if options.schedule else None)
    kept = True
    try:
        office.open()
        submitter, killer = Submitter(office, options.seed + 1, limit=options.kills * 3), Killer(office, options.seed)
        submitter.start()
        first_commits, full = {}, "skipped: only root can mount a small disk"
        print(f"kill-test: {options.kills} kills, seed {options.seed}, state in {folder}", flush=True)
        while killer.total < options.kills:
            if submitter.fault:
                raise submitter.fault
            if time.monotonic() - began > options.minutes * 60:
                raise Trouble(f"only {killer.total} kills in {options.minutes} minutes")
            killer.once()
            if has_own_disk and full.startswith("skipped") and killer.total * 2 >= options.kills:
                full = "the daemon said so" if fill_disk(office, submitter, killer, 6) else "not noticed by the daemon"
            # So many jobs in waiting are enough; more would only lengthen the end.
            waiting = len(submitter.acknowledged) - len(first_commits)
            (submitter.paused.set if waiting > 60 else submitter.paused.clear)()
            watch_commits(office, submitter.acknowledged, first_commits)
            if killer.total % 50 < 2:
                print(f"  {killer.total} kills, {len(submitter.acknowledged)} jobs, {len(first_commits)} committed,"
                      f" {time.monotonic() - began:.0f} s", flush=True)
        submitter.stopped.set()
        submitter.join(60)
        killer.end_runs()
        jobs = list(submitter.acknowledged)
        revived = settle(office, jobs, seconds=300)
        sample = random.Random(options.seed).sample(jobs, min(12, len(jobs)))
        counts = check(office, jobs, first_commits, sample)
        kept = False
    except Trouble as trouble:
        print(f"kill-test: FAILED: {trouble}\nkill-test: state and logs are kept in {folder}", file=sys.stderr)
        return 1
    finally:
        office.close()
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    attempts = office.attempts
    print("\nkilled")
    for what, count in sorted(killer.kills.items()):
        print(f"  {what:<44}{count:>8}")
    for what, value in (
            ("kills in all", killer.total), ("jobs acknowledged", len(jobs)),
            ("submits refused, as they said", submitter.refused),
            ("committed once, receipts audited", counts["finished"]), ("results opened", len(sample)),
            ("runs of the schedule begun", killer.opened), ("attempts in all", attempts), ("brought back from dead", revived), ("full disk", full),
            ("database", "sound"), ("seconds", round(time.monotonic() - began))):
        print(f"{what:<46}{value:>8}")
    print("nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
