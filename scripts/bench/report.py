"""The table (Markdown) and the plot of a run.

    python report.py embed.json     writes embed.md and embed.png beside it again
"""
import json
import pathlib
import sys

from figures import (ACCURACY, KINDS, TARGETS, best_peer, elsewhere, kind_of, median, rates, ratios, spread)

PHASES = {
    "main": "113 tokens on average, log-normal, at most 256", "short": "16–32 tokens", "long": "256 tokens",
    "latency": "one at a time, 16–32 tokens", "one-thread": "113 tokens, one thread", "avx2": "113 tokens, AVX2 alone",
}

BUSY = 0.15  # Processors that others may keep busy before a table says that it is unsure.


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def rate(value):
    return number(value, 0 if value is None or value >= 100 else 1)


def ratio(values):
    """Median of the rounds' ratios, and least and greatest."""
    if not values:
        return "–"
    low, high = spread(values)
    return f"**{median(values):.2f}** ({low:.2f}–{high:.2f})"


def table(heads, rows):
    lines = ["| " + " | ".join(map(str, heads)) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def cosine(results, name):
    row = results["accuracy"].get(name)
    if row is None:
        return "–"
    return f"{row['mean']:.6f} · {row['min']:.6f}" if row["min"] > 0.9999 else f"{row['mean']:.4f} · {row['min']:.4f}"


def targets(results):
    rows = []
    for target in TARGETS:
        peer, paired = target.judge(results)
        met = "not measured" if not paired else "yes" if median(paired) >= target.least else "no"
        aim = f" (aim {target.aim} ×)" if target.aim else ""
        wanted = f"{target.least} ×{aim}"
        rows.append([target.words, target.ours, peer or "–", ratio(paired), wanted, met])
    for kind in KINDS:
        row = results["accuracy"].get(f"ours {kind}")
        mean, least = ACCURACY[kind]
        met = "not measured" if row is None else "yes" if row["mean"] >= mean and row["min"] >= least else "no"
        rows.append([f"cosine, {kind}", f"ours {kind}", "PyTorch fp32", cosine(results, f"ours {kind}"),
                     f"{mean} · {least}", met])
    for kind, rounds in results.get("sealed", {}).get("rounds", {}).items():
        values = [row["bare_s"] / row["sealed_s"] for row in rounds]
        rows.append([f"the sealed way, {results['sealed']['documents']:,} documents, {kind}", f"whole job, {kind}",
                     f"ours {kind}, bare", ratio(values), "0.97 ×", "yes" if median(values) >= 0.97 else "no"])
    rows += resources(results)
    if results["quick"] or (elsewhere(results, "main")[0] or 0) > BUSY:
        rows = [row[:-1] + [f"{row[-1]}, unsure" if row[-1] in ("yes", "no") else row[-1]] for row in rows]
    return table(["target", "ours", "against", "ratio or figure", "at least", "met"], rows)


def resources(results):
    """Memory below every peer's, and the load below 0.3 s."""
    memory, rows = results["memory"], []
    peers = {name: row["peak_bytes"] for name, row in memory.items() if not name.startswith("ours") and "peak_bytes" in row}
    for kind in KINDS:
        row = memory.get(f"ours {kind}", {})
        of_kind = {name: size for name, size in peers.items() if kind_of(name) == kind}
        if "peak_bytes" not in row or not of_kind:
            continue
        least = min(of_kind, key=of_kind.get)
        share = of_kind[least] / row["peak_bytes"]
        rows.append([f"peak memory, {kind}", f"ours {kind}", least,
                     f"{row['peak_bytes'] / 1e6:.0f} to {of_kind[least] / 1e6:.0f} MB", "below", "yes" if share > 1 else "no"])
        rows.append([f"load to first embedding, {kind}", f"ours {kind}", "0.3 s", f"{row['first_s']:.3f} s", "below",
                     "yes" if row["first_s"] < 0.3 else "no"])
    return rows


def engines(results):
    """The head table: every engine on the documents of `main`."""
    rows = []
    for name in results["order"]:
        if name in results["failures"]:
            rows.append([name, "–", "–", "–", "–", "–", cosine(results, name), "–", results["failures"][name].replace("|", "/")])
            continue
        per_second = rates(results, "main", name)
        low, high = spread(per_second.values())
        chosen = results["batches"].get("main", {}).get(name, {})
        batch = f"{chosen.get('batch', '–')}" + (f" × {chosen['streams']} streams" if chosen.get("streams", 1) > 1 else "")
        memory = results["memory"].get(name, {})
        peak, first = memory.get("peak_bytes"), memory.get("first_s")
        ours = f"ours {kind_of(name)}"
        versus = "" if name.startswith("ours") else ratio(ratios(results, "main", ours, name))
        rows.append([
            f"**{name}**" if name.startswith("ours") else name, batch,
            f"{rate(median(per_second.values()))} ({rate(low)}–{rate(high)})",
            number(median(rates(results, "main", name, of="tokens").values())),
            rate(median(rates(results, "main", name, per="cpu_s").values())), versus, cosine(results, name),
            number(peak / 1e6 if peak else None), f"{first:.2f} s" if first else "–"])
    return table(["engine", "batch", "docs/s: median (least–most)", "tokens/s", "docs per CPU s", "ours ÷ it, by round",
                  "cosine mean · min", "peak MB", "load to first"], rows)


def other_documents(results):
    phases = [phase for phase in PHASES if phase != "main" and results["rounds"].get(phase)]
    rows = []
    for name in results["order"]:
        cells = []
        for phase in phases:
            value = median(rates(results, phase, name).values())
            cells.append("–" if value is None else f"{1000 / value:.2f} ms" if phase == "latency" else rate(value))
        if any(cell != "–" for cell in cells):
            rows.append([name] + cells)
    return table(["engine"] + [PHASES[phase] for phase in phases], rows) if phases else ""


def series(results, prefix):
    """{engine: {N: median}} of the phases `prefix-N`, seconds a token or a document."""
    found = {}
    of = "tokens" if prefix == "length" else "documents"
    for phase, engines in results["rounds"].items():
        if phase.startswith(prefix + "-"):
            for name in engines:
                found.setdefault(name, {})[int(phase.split("-")[1])] = 1 / median(rates(results, phase, name, of=of).values())
    return found


def series_table(results, prefix, unit, scale):
    found = series(results, prefix)
    points = sorted({point for values in found.values() for point in values})
    rows = [[name] + [number(found[name][p] * scale, 1) if p in found[name] else "–" for p in points]
            for name in results["order"] if name in found]
    return table([unit] + points, rows) if rows else ""


def products(results):
    """10⁹ operations a second of each shape, ours and oneDNN's."""
    rows = []
    for shape, kinds in results.get("products", {}).items():
        cells = []
        for kind in KINDS:
            row = kinds.get(kind, {})
            pair = (row.get("ours"), row.get("oneDNN"))
            cells.append("–" if None in pair else f"{pair[0]:,.0f} ÷ {pair[1]:,.0f} = **{pair[0] / pair[1]:.2f}**")
        rows.append([shape] + cells)
    return table(["inputs → outputs, 512 rows"] + KINDS, rows) if rows else ""


def paired(results):
    """Every round's ratio, so that a reader sees what the noise did."""
    rows = []
    for target in TARGETS:
        peer, values = target.judge(results)
        if values:
            busy = elsewhere(results, target.phase)
            by_cpu = ratios(results, target.phase, target.ours, peer, per="cpu_s")
            rows.append([target.words, f"{target.ours} ÷ {peer}", " ".join(f"{value:.2f}" for value in values), ratio(by_cpu),
                         "–" if busy[0] is None else f"{busy[0]:.2f} · {busy[1]:.2f}"])
    return table(["", "pair", "each round", "by processor time instead", "processors busy elsewhere: median · most"], rows) if rows else ""


def markdown(results):
    machine, versions = results["machine"], results["versions"]
    names = "; ".join(", ".join(f"{name} {version}" for name, version in found.items()) for found in versions.values() if found)
    notes = "".join(f"- {note}\n" for note in results["notes"])
    quick = " **A quick run: for development, too short for a verdict.**" if results["quick"] else ""
    main_busy = elsewhere(results, "main")[0]
    warning = ""
    if main_busy and main_busy > BUSY:
        warning = (f"\n**The machine was busy: other processes held {main_busy:.1f} processors in the median. Absolute rates are "
                   "too low, and ratios unsure.**\n")
    sections = [
        ("Cost by length", series_table(results, "length", "µs a token, documents of so many tokens", 1e6)),
        ("The dense products alone, ours ÷ oneDNN with packed weights, 10⁹ operations a second, one thread", products(results)),
        ("Cost by number of documents", series_table(results, "count", "ms a document, so many documents at once", 1e3)),
    ]
    more = "".join(f"\n## {title}\n{body}" for title, body in sections if body)
    return f"""# Encoder: ours and its peers

Written by `make bench-embed`: {results['date']}, commit {results['commit'].split(' ')[0] or 'unknown'}.{quick} all-MiniLM-L6-v2,
{results['threads']} threads. {machine['name']}, family {machine['family']}, model {machine['model']}, {machine['processors']} processors
({', '.join(machine['flags'])}), {machine['memory_gib']} GiB; {machine['system']}. {names}.
Documents: SHA-256 `{results['documents'][:16]}…`.
{warning}
![Speed, ratios, cost by length, accuracy](embed.png)

## Targets
Ratios of documents a second, ours to the best peer's, taken within each round: **median** (least–most).

{targets(results)}
## Every engine, documents of {PHASES['main']}
{engines(results)}
## Other documents and settings
Documents a second, or milliseconds a document.

{other_documents(results)}{more}
## Round by round
{paired(results)}
## How it is measured
- Each engine is a process of its own that answers commands; in every round the engines take turns over the same documents,
  and the turn begins elsewhere in each. Engines far behind their kind are measured in every third round.
- Our time includes tokenizing, and our int8 has the scales of a published model. The peers get token ids, sorted by length,
  in batches padded before the clock starts, at the batch size and number of streams that were the fastest in a sweep on
  the same documents. ONNX Runtime's graph is fused by its own optimizer; OpenVINO's and PyTorch's pool inside the graph;
  CTranslate2 has its oneDNN backend.
- Cosine: to fp32 PyTorch over 2,000 documents. Peak memory and load: a fresh process, which embeds a quarter of the
  documents; the peers' includes Python and their libraries, their load begins once the library is imported.
- One document at a time: the median over 100 short texts, one stream. AVX2 alone: `EPHEMERALML_KERNEL=avx2` and
  `ONEDNN_MAX_CPU_ISA=AVX2`. Cost by length: `max_seq_length` 512.
- By processor time: documents for each second of processor time of all the engine's threads, which another process disturbs
  less than the wall's clock.
- "Busy elsewhere" is processor time of all other processes, stolen time included, divided by the time of the run.
{notes}"""


def write(results, out):
    (out / "embed.md").write_text(markdown(results), encoding="utf-8")
    try:
        import plot
        plot.draw(results, out / "embed.png")
    except ImportError as error:
        print(f"no plot: {error}")


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    write(json.loads(path.read_text()), path.parent)
