"""What the rows of a run say: rates, and ratios taken within each round."""
import statistics


def rates(results, phase, engine, of="documents", per="wall_s"):
    """{round: rate} of an engine."""
    rows = results["rounds"].get(phase, {}).get(engine, [])
    return {row["round"]: row[of] / row[per] for row in rows if row.get(per)}


def median(values):
    values = list(values)
    return statistics.median(values) if values else None


def spread(values):
    """Least and greatest."""
    values = list(values)
    return (min(values), max(values)) if values else (None, None)


def ratios(results, phase, ours, peer, per="wall_s"):
    """Ours to the peer's, for each round in which both were measured."""
    mine, other = (rates(results, phase, name, per=per) for name in (ours, peer))
    return [mine[number] / other[number] for number in sorted(mine.keys() & other.keys())]


def best_peer(results, phase, kind=None):
    """The peer with the highest median, of one kind of precision or of all; none when none ran."""
    found = {
        name: median(rates(results, phase, name).values())
        for name in results["rounds"].get(phase, {})
        if not name.startswith("ours") and (kind is None or kind_of(name) == kind)}
    return max(found, key=found.get) if found else None


def kind_of(name):
    precision = name.split()[-1]
    return {"f16": "bf16", "q8_0": "int8"}.get(precision, precision)


def elsewhere(results, phase):
    """Processors that other processes kept busy during the phase: median and most."""
    values = [row["elsewhere"] for rows in results["rounds"].get(phase, {}).values() for row in rows if "elsewhere" in row]
    return (median(values), max(values)) if values else (None, None)


class Target:
    """One row of the table of targets: ours against the best peer of a kind in a phase."""

    def __init__(self, words, phase, ours, kind, least, aim=None):
        self.words, self.phase, self.ours, self.kind, self.least, self.aim = words, phase, ours, kind, least, aim

    def judge(self, results):
        peer = best_peer(results, self.phase, self.kind)
        paired = ratios(results, self.phase, self.ours, peer) if peer else []
        return peer, paired


KINDS = ["fp32", "bf16", "int8"]
ACCURACY = {"fp32": (0.999999, 0.99999), "bf16": (0.9999, 0.9999), "int8": (0.999, 0.997)}
TARGETS = [
    Target("fp32", "main", "ours fp32", "fp32", 1.15, 1.25),
    Target("bf16", "main", "ours bf16", "bf16", 1.3, 1.5),
    Target("int8", "main", "ours int8", "int8", 1.6, 1.9),
    Target("short texts, 16–32 tokens", "short", "ours int8", None, 1.5),
    Target("long texts, 256 tokens", "long", "ours int8", None, 1.5),
    Target("one document at a time", "latency", "ours int8", None, 1.2),
    *[Target(f"AVX2 alone, {kind}", "avx2", f"ours {kind}", kind, 1.0) for kind in KINDS],
    *[Target(f"one thread, {kind}", "one-thread", f"ours {kind}", kind, least)
      for kind, least in zip(KINDS, (1.15, 1.3, 1.6))],
]
