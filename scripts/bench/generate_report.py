"""The table (Markdown) and the plot of a run of generate.py.

    python generate_report.py generate.json     writes generate.md and generate.png beside it again
"""
import json
import pathlib
import sys

from figures import median, spread

CASES = {
    "prefill": ("prefill, 512 tokens", 3.0), "one": ("generation, one sequence", 1.1),
    "sixteen": ("generation, 16 sequences", 2.5),
}
BUSY = 0.15  # Processors that others may keep busy before the page says that it is unsure.


def table(heads, rows):
    lines = ["| " + " | ".join(map(str, heads)) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def rates(pairs, name):
    return [pair[name]["tokens"] / pair[name]["wall_s"] for pair in pairs]


def ratios(pairs):
    return [ours / peer for ours, peer in zip(rates(pairs, "ours"), rates(pairs, "llamacpp"))]


def shares(run, pairs, name="ours"):
    """Bytes of weights that were read a second, by what the machine reads at best; of each pair."""
    return [rate * run["bytes_each_token"] / pair["bandwidth"]
            for rate, pair in zip(rates(pairs, name), pairs) if pair.get("bandwidth")]


def rate(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def cell(values):
    if not values:
        return "–"
    low, high = spread(values)
    return f"**{median(values):.2f}** ({low:.2f}–{high:.2f})"


def speeds(results, threads):
    rows = []
    for run in results["runs"]:
        for case, (words, least) in CASES.items():
            pairs = run["cases"].get(f"{case}-{threads}")
            if not pairs:
                continue
            met = "yes" if median(ratios(pairs)) >= least else "no"
            share = "–"
            if case == "one":
                share = f"{median(shares(run, pairs)):.0%} · {median(shares(run, pairs, 'llamacpp')):.0%}"
            rows.append([f"{run['model']} {run['quantisation']}", words, rate(median(rates(pairs, "ours"))),
                         rate(median(rates(pairs, "llamacpp"))), cell(ratios(pairs)), f"{least} ×", met, share])
    return table(["model", "", "ours, tokens/s", "llama.cpp", "ratio: median (least–most)", "at least", "met",
                  "share of DRAM's speed, ours · llama.cpp"], rows) if rows else ""


def resources(results):
    rows = []
    for run in results["runs"]:
        megabytes = lambda of, name: f"{run[of][name] / 1e6:,.0f}" if name in run[of] else "–"
        seconds = lambda name: f"{run['load_s'][name]:.2f}" if name in run["load_s"] else "–"
        rows.append([f"{run['model']} {run['quantisation']}", f"{run['file_bytes'] / 1e6:,.0f}",
                     f"{megabytes('loaded_bytes', 'ours')} · {megabytes('loaded_bytes', 'llamacpp')}",
                     f"{megabytes('peak_bytes', 'ours')} · {megabytes('peak_bytes', 'llamacpp')}",
                     f"{seconds('ours')} · {seconds('llamacpp')}"])
    return table(["model", "file, MB", "peak of loading, MB", "peak of all, MB", "load, s"], rows)


def bandwidths(results):
    found = []
    for threads in results["threads"]:
        values = [pair["bandwidth"] for run in results["runs"] for pair in run["cases"].get(f"one-{threads}", [])
                  if pair.get("bandwidth")]
        if values:
            found.append(f"{median(values) / 1e9:.1f} GB/s with {threads} thread{'s' if threads > 1 else ''}")
    return ", ".join(found) or "not measured"


def elsewhere(results):
    values = [pair["elsewhere"] for run in results["runs"] for pairs in run["cases"].values() for pair in pairs]
    return (median(values), max(values)) if values else (0, 0)


def when(results):
    """Dates and rounds of the runs, where they are not one run's."""
    found = {}
    for run in results["runs"]:
        found.setdefault((run["date"], run["rounds"]), []).append(f"{run['model']} {run['quantisation']}")
    if len({rounds for _, rounds in found}) < 2:
        return ""
    return "".join(f"- {', '.join(names)}: {date}, {rounds} rounds.\n" for (date, rounds), names in found.items())


def failures(results):
    lines = [f"- {run['model']} {run['quantisation']}: {name}: {words}\n"
             for run in results["runs"] for name, words in run["failures"].items()]
    return "".join(lines + [f"- {note}\n" for note in results["notes"]])


def markdown(results):
    machine, shapes = results["machine"], results["shapes"]
    models = "; ".join(
        f"{name}: {shape['layers']} layers, {shape['hidden']} wide, inside {shape['inner']}, {shape['heads']} heads, "
        f"{shape['kv_heads']} of keys, {shape['vocabulary']:,} tokens, head and table one" for name, shape in shapes.items())
    system = next((run["system"] for run in results["runs"] if "system" in run), "")
    used = " ".join(part.split("=")[0].strip() for part in system.removeprefix("CPU :").split("|") if "= 1" in part)
    kernel = next((run["kernel"] for run in results["runs"] if "kernel" in run), "")
    busy, most = elsewhere(results)
    counts = {run["rounds"] for run in results["runs"]} or {results["rounds_asked"]}
    rounds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else min(counts)
    warning = ""
    if busy > BUSY:
        warning = (f"\n**The machine was busy: other processes held {busy:.1f} processors in the median. Absolute rates are "
                   "too low, and ratios unsure.**\n")
    tables = "".join(
        f"\n## {threads} thread{'s' if threads > 1 else ''}\n{speeds(results, threads)}" for threads in results["threads"])
    return f"""# Decoder: ours and llama.cpp's

Written by `make bench-generate`: {results['date']}, commit {results['commit'].split(' ')[0] or 'unknown'}, {rounds} rounds.
{machine['name']}, family {machine['family']}, model {machine['model']}, {machine['processors']} processors
({', '.join(machine['flags'])}), {machine['memory_gib']} GiB; {machine['system']}.
llama.cpp: {', '.join(f'{name} {version}' for name, version in results['versions'].items())}, compiled for this machine ({used}).
Ours: {kernel}. Random weights, quantised by llama.cpp. {models}.

Memory read at most, in the same run: {bandwidths(results)}. A single sequence reads all weights for each token.
{warning}
![Speed and ratios](generate.png)
{tables}
## Memory and load
Ours · llama.cpp's.

{resources(results)}
## How it is measured
- Each is a process of its own that has loaded the same file and answers commands; they take turns, and who begins changes with
  every round. Ratios are of pairs that were measured one after the other. A first round warms up.
- Prefill: one prompt of 512 random tokens and the logits behind it. Generation: behind 128 tokens of each sequence that were
  read before the clock starts. Ours is timed from request to text, with the choice of the most likely token; llama.cpp's is
  timed over `llama_decode` and `llama_synchronize` alone, with tokens that were drawn beforehand and all sequences in one
  batch. Its settings are its defaults (repacked weights, flash attention as it chooses, f16 for keys and values).
- Share of DRAM's speed: tokens a second, times the bytes of the file's weights that a token reads, divided by the speed of a plain
  read of 512 MB with as many threads, measured next to each pair. Keys and values are not counted.
- Memory: the greatest resident set of the process. llama.cpp's has Python in it, and the file's mapped pages.
- Processor time of other programs meanwhile, in processors: {busy:.2f} in the median, {most:.2f} at most.
{when(results)}{failures(results)}"""


def draw(results, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    threads = results["threads"]
    figure, axes = pyplot.subplots(1, len(CASES), figsize=(14, 1.6 + 0.42 * len(results["runs"]) * len(threads)))
    colours = dict(zip(sorted(set(threads), reverse=True), ["#4c78a8", "#f58518", "#54a24b", "#b279a2"]))
    for axis, (case, (words, least)) in zip(axes, CASES.items()):
        rows = [(run, count, run["cases"].get(f"{case}-{count}")) for run in results["runs"] for count in threads]
        rows = [row for row in rows if row[2]][::-1]
        for place, (run, count, pairs) in enumerate(rows):
            values = ratios(pairs)
            axis.barh(place, median(values), color=colours[count], alpha=0.75)
            axis.plot(values, [place] * len(values), "o", color="black", alpha=0.5, markersize=3)
            axis.text(0.05, place, f"{rate(median(rates(pairs, 'ours')))} ÷ {rate(median(rates(pairs, 'llamacpp')))} tokens/s",
                      va="center", fontsize=7, color="white")
        axis.set_yticks(range(len(rows)), [f"{run['model']} {run['quantisation']}, {count} thr." for run, count, _ in rows],
                        fontsize=7)
        axis.axvline(1, color="#999", linewidth=0.8)
        axis.axvline(least, color="#c00", linewidth=1, linestyle="--")
        axis.set_xlabel("ours ÷ llama.cpp: median, each pair; target dashed")
        axis.set_title(words, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Random Llamas: {results['machine']['name']}, {results['date']}", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def write(results, out):
    (out / "generate.md").write_text(markdown(results), encoding="utf-8")
    try:
        draw(results, out / "generate.png")
    except ImportError as error:
        print(f"no plot: {error}")


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    write(json.loads(path.read_text()), path.parent)
