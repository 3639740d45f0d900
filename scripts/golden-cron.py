#!/usr/bin/env python3
"""Cron expressions and daylight saving as croniter and Python's zoneinfo see them.

  python3 -m venv .cache/venv-cron && .cache/venv-cron/bin/pip install 'croniter==7.0.0'
  .cache/venv-cron/bin/python scripts/golden-cron.py      writes Tests/Vectors/cron/croniter.json

croniter names the local times (without any zone, where it is plain calendar arithmetic), zoneinfo turns them into
moments: a time that comes twice is its first (PEP 495, fold 0), one in a gap is the first minute after it. Dates end in
2024, so that a newer time zone database changes nothing. `implement_cron_bug` is Vixie's rule that a day field which
begins with `*` counts as unrestricted.
"""
import datetime as dt
import json
import pathlib
import random
import zoneinfo

from croniter import croniter

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "Vectors" / "cron" / "croniter.json"
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Pacific/Apia", "Africa/Casablanca", "Asia/Tehran", "Pacific/Auckland", "America/St_Johns", "Asia/Gaza",
]
UTC = dt.timezone.utc
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def moment(local, zone):
    """The moment of a naive local time."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    # In a gap: the first minute whose local time is later.
    step = local.replace(tzinfo=UTC) - DAY
    while step.astimezone(zone).replace(tzinfo=None) < local:
        step += MINUTE
    return step


def due(cron, zone, after, count):
    """The next moments after one, each once."""
    naive = after.astimezone(zone).replace(tzinfo=None)
    names = croniter(cron, naive - 3 * DAY, implement_cron_bug=True)
    found = []
    while len(found) < count:
        at = moment(names.get_next(dt.datetime), zone)
        if at > after and at not in found:
            found.append(at)
    return found


def transitions(zone, generator):
    """A moment at which the zone's offset changes, or any moment where it never does."""
    for _ in range(40):
        start = dt.datetime(generator.randint(2003, 2023), generator.randint(1, 12), generator.randint(1, 28), tzinfo=UTC)
        for day in range(200):
            a, b = start + day * DAY, start + (day + 1) * DAY
            if a.astimezone(zone).utcoffset() != b.astimezone(zone).utcoffset():
                return a
    return start


def field(generator, low, high, names=(), star=0.4):
    kind = generator.random()
    if kind < star:
        return "*"
    if kind < star + 0.1:
        return f"*/{generator.randint(1, max(2, (high - low) // 2))}"
    name = lambda value: names[value - low] if names and generator.random() < 0.5 and value - low < len(names) else str(value)
    parts = []
    for _ in range(generator.randint(1, 3)):
        # croniter takes a range like 5-5 for the whole field; cron takes it for 5.
        a, b = sorted(generator.sample(range(low, high + 1), 2))
        parts.append(generator.choice([name(a), f"{a}-{b}", f"{a}-{b}/{generator.randint(1, 7)}"]))
    return ",".join(parts)


def expression(generator):
    while True:
        cron = " ".join([
            field(generator, 0, 59, star=0.1), field(generator, 0, 23), field(generator, 1, 31, star=0.6),
            field(generator, 1, 12, MONTHS, star=0.7), field(generator, 0, 6, DAYS, star=0.6),
        ])
        try:
            croniter(cron, dt.datetime(2020, 1, 1), implement_cron_bug=True).get_next()
            return cron
        except Exception:
            continue


def main():
    generator = random.Random(20261125)
    cases = []
    near = ["30 2 * * *", "0 2 * * *", "*/20 1-3 * * *", "15,45 0-4 * * *", "@hourly", "@daily", "0 3 * * sun", "59 23 * * *"]
    for zone_name in ZONES:
        zone = zoneinfo.ZoneInfo(zone_name)
        for cron in near * 2:
            cases.append((cron, zone_name, transitions(zone, generator) - generator.randint(0, 90) * MINUTE))
        for _ in range(20):
            at = dt.datetime(2000, 1, 1, tzinfo=UTC) + generator.randint(0, 24 * 365 * 24 * 60) * MINUTE
            cases.append((expression(generator), zone_name, at))
    vectors = []
    for cron, zone_name, after in cases:
        moments = due(cron, zoneinfo.ZoneInfo(zone_name), after, 4)
        if moments[-1].year <= 2032:
            vectors.append({
                "cron": cron, "zone": zone_name, "after": int(after.timestamp()),
                "due": [int(at.timestamp()) for at in moments],
            })
    lines = ",\n".join("  " + json.dumps(vector) for vector in vectors)
    VECTORS.parent.mkdir(parents=True, exist_ok=True)
    VECTORS.write_text('{"from": "croniter 7.0.0 and zoneinfo, scripts/golden-cron.py", "cases": [\n' + lines + "\n]}\n")
    print(f"{len(vectors)} cases")


main()
