"""The plot of a run: four panels."""
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot

import report
from figures import KINDS, TARGETS, kind_of, median, rates, spread

COLOURS = {"fp32": "#4c78a8", "bf16": "#f58518", "int8": "#54a24b"}


def colour(name):
    return COLOURS[kind_of(name)]


def speed(axis, results):
    rows = [(name, rates(results, "main", name).values()) for name in results["order"]]
    rows = [(name, values) for name, values in rows if values]
    rows.sort(key=lambda row: (KINDS.index(kind_of(row[0])), median(row[1])))
    for place, (name, values) in enumerate(rows):
        middle, (low, high) = median(values), spread(values)
        ours = name.startswith("ours")
        axis.barh(place, middle, color=colour(name), alpha=1 if ours else 0.45,
                  xerr=[[middle - low], [high - middle]], error_kw={"linewidth": 0.8, "ecolor": "#555"})
        axis.text(high, place, f" {middle:,.0f}", va="center", fontsize=8, fontweight="bold" if ours else "normal")
    axis.set_yticks(range(len(rows)), [name for name, _ in rows], fontsize=8)
    for label in axis.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith("ours") else "normal")
    axis.set_xlabel("documents a second: median, least and most")
    axis.margins(x=0.12)
    axis.set_title(f"113 tokens on average, {results['threads']} threads")


def paired(axis, results):
    shown = [(target, *target.judge(results)) for target in TARGETS]
    shown = [row for row in shown if row[2]][::-1]
    for place, (target, peer, values) in enumerate(shown):
        axis.plot(values, [place] * len(values), "o", color=colour(target.ours), alpha=0.4, markersize=4)
        axis.plot([median(values)], [place], "|", color="black", markersize=14)
        axis.plot([target.least], [place], "D", color="none", markeredgecolor="#c00", markersize=6)
    axis.set_yticks(range(len(shown)), [f"{target.words}\n÷ {peer}" for target, peer, _ in shown], fontsize=7)
    axis.axvline(1, color="#999", linewidth=0.8)
    axis.set_xlabel("ours ÷ best peer: each round, median |, target ◇")
    axis.set_title("Ratios taken within each round")


def lengths(axis, results):
    for name, values in report.series(results, "length").items():
        points = sorted(values)
        ours = name.startswith("ours")
        axis.plot(points, [values[point] * 1e6 for point in points], "o-" if ours else "s--", color=colour(name),
                  label=name, markersize=4)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks([16, 32, 64, 128, 256, 512], ["16", "32", "64", "128", "256", "512"])
    axis.set_xlabel("tokens of a document")
    axis.set_ylabel("µs a token")
    axis.set_title("Cost by length")
    if axis.lines:
        axis.legend(fontsize=7)


def accuracy(axis, results):
    for name, row in results["accuracy"].items():
        speed = median(rates(results, "main", name).values())
        if speed is None:
            continue
        ours = name.startswith("ours")
        error = max(1 - row["min"], 1e-7)
        axis.plot([speed], [error], "*" if ours else "o", color=colour(name), markersize=13 if ours else 6)
        axis.annotate(name, (speed, error), fontsize=7, xytext=(5, 4), textcoords="offset points")
    axis.set_yscale("log")
    axis.invert_yaxis()
    axis.set_xlabel("documents a second")
    axis.set_ylabel("1 − least cosine of 2,000 (up: more exact)")
    axis.set_title("Speed and accuracy")
    axis.margins(x=0.2)


def draw(results, path):
    figure, axes = pyplot.subplots(2, 2, figsize=(13, 10))
    for axis, body in zip(axes.flat, (speed, paired, lengths, accuracy)):
        body(axis, results)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="both", linewidth=0.3)
        axis.set_axisbelow(True)
    figure.suptitle("all-MiniLM-L6-v2: " + results["machine"]["name"] + f", {results['date']}", fontsize=11)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
