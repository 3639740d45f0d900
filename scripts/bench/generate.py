"""`make bench-generate`: our decoder and llama.cpp's, in turns over the same random models, quantisations and threads.

    python generate.py --program BENCH_GENERATE --work WORK_DIR --out OUT_DIR [--models 100m,1b]
                       [--quantisations q4_0,q4_k_m,q8_0,bf16] [--threads 2,1] [--rounds N] [--cases NAME,…] [--append]

Writes OUT_DIR/generate.json, generate.md and generate.png.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import sys
import time
import traceback

import generate_models
import generate_report
from machine import processor
from workers import HERE, Process, WorkerError, busy_seconds

# What is measured: the command, and how much of it for a small and for a large model.
CASES = {
    "prefill": {"do": "prefill", "tokens": 512},
    "one": {"do": "generate", "sequences": 1, "tokens": 128, "steps": {"100m": 64, "1b": 24}},
    "sixteen": {"do": "generate", "sequences": 16, "tokens": 128, "steps": {"100m": 16, "1b": 8}},
}
PROGRAMS = ["ours", "llamacpp"]


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def command_of(case, model, threads, seed):
    command = {name: value[model] if isinstance(value, dict) else value for name, value in CASES[case].items()}
    return {**command, "threads": threads, "seed": seed}


class Run:
    """One file: both programs load it, and then take turns."""

    def __init__(self, settings, model, quantisation, reader):
        self.settings, self.model, self.reader = settings, model, reader
        self.path = path = generate_models.path_of(settings.work, model, quantisation)
        most = max(settings.threads)
        self.workers = {
            "ours": Process([str(settings.program), str(path)], settings.work / "log" / "ours.log", most),
            "llamacpp": Process(
                [sys.executable, str(HERE / "generate_peer.py"), str(path)], settings.work / "log" / "llamacpp.log", most),
        }
        self.row = {
            "model": model, "quantisation": quantisation, "date": now(), "rounds": settings.rounds, "file_bytes": path.stat().st_size,
            "bytes_each_token": generate_models.read_each_token(path), "load_s": {}, "loaded_bytes": {}, "peak_bytes": {},
            "cases": {}, "failures": {},
        }

    def measure(self):
        # From the system's cache of files, for whoever is first.
        with open(self.path, "rb") as file:
            while file.read(1 << 24):
                pass
        for name in PROGRAMS:
            self.attempt(name, lambda worker: self.load(name, worker))
        for number in range(-1, self.settings.rounds):  # The first warms up, and does not count.
            for threads in self.settings.threads:
                for case in self.settings.cases:
                    self.turn(number, threads, case)
        for name in PROGRAMS:
            self.attempt(name, lambda worker: self.row["peak_bytes"].update({name: worker.ask(do="memory")["peak_bytes"]}))
        for worker in self.workers.values():
            worker.end()
        return self.row

    def load(self, name, worker):
        answer = worker.ask(do="load")
        self.row["load_s"][name] = answer["load_s"]
        self.row["loaded_bytes"][name] = worker.ask(do="memory")["peak_bytes"]
        for word in ("kernel", "system"):
            if word in answer:
                self.row[word] = answer[word]

    def turn(self, number, threads, case):
        places = PROGRAMS if number % 2 == 0 else PROGRAMS[::-1]
        found = {}
        before, began = busy_seconds(), time.perf_counter()
        for name in places:
            command = command_of(case, self.model, threads, number + 2)
            found[name] = self.attempt(name, lambda worker: worker.ask(**command))
        if None in found.values() or number < 0:
            return
        spent = time.perf_counter() - began
        # What stands before the tokens that are generated is computed outside of the clock, so this is a bound.
        elsewhere = max(0, busy_seconds() - before) / spent - threads
        pair = {name: {"wall_s": found[name]["wall_s"], "cpu_s": found[name]["cpu_s"], "tokens": found[name]["tokens"]}
                for name in PROGRAMS}
        pair["elsewhere"] = round(max(0, elsewhere), 2)
        if case == "one":
            pair["bandwidth"] = self.reader.ask(do="bandwidth", threads=threads)["bytes_per_second"]
        self.row["cases"].setdefault(f"{case}-{threads}", []).append(pair)

    def attempt(self, name, body):
        if name in self.row["failures"]:
            return None
        try:
            return body(self.workers[name])
        except WorkerError as error:
            self.row["failures"][name] = str(error)
            print(f"  {name}: {error}", flush=True)
            return None


def append(results, path):
    """Puts the rows of an earlier run before this one's, but for those that were measured again."""
    if not path.exists():
        return
    before = json.loads(path.read_text())
    again = {(run["model"], run["quantisation"]) for run in results["runs"]}
    kept = [run for run in before["runs"] if (run["model"], run["quantisation"]) not in again]
    results["runs"] = kept + results["runs"]
    results["shapes"] = {**before["shapes"], **results["shapes"]}
    results["threads"] = sorted({*before["threads"], *results["threads"]}, reverse=True)
    results["notes"] += before["notes"]


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "work", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    words = lambda text: text.replace(",", " ").split()
    parser.add_argument("--models", type=words, default=list(generate_models.SHAPES))
    parser.add_argument("--quantisations", type=words, default=list(generate_models.QUANTISATIONS))
    parser.add_argument("--threads", type=lambda text: [int(word) for word in words(text)], default=[2, 1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", type=words, default=list(CASES))
    parser.add_argument("--append", action="store_true", help="keep what OUT_DIR has of other models and quantisations")
    settings = parser.parse_args()
    for given, known in [(settings.models, generate_models.SHAPES), (settings.cases, CASES),
                         (settings.quantisations, generate_models.QUANTISATIONS)]:
        unknown = [word for word in given if word not in known]
        if unknown:
            parser.error(f"{unknown[0]} is none of {', '.join(known)}")
    settings.program = settings.program.resolve()
    results = {
        "date": now(),
        "commit": os.environ.get("EPHEMERALML_COMMIT", ""), "machine": processor(), "threads": settings.threads,
        "rounds_asked": settings.rounds, "versions": {name: importlib.metadata.version(name) for name in (
            "llama-cpp-python", "gguf")}, "shapes": {name: generate_models.SHAPES[name] for name in settings.models},
        "cases": {name: CASES[name] for name in settings.cases}, "runs": [], "notes": [],
    }
    began = time.perf_counter()
    reader = Process([str(settings.program), "none"], settings.work / "log" / "reader.log", max(settings.threads))
    for model in settings.models:
        for quantisation in settings.quantisations:
            print(f"{time.perf_counter() - began:5.0f} s  {model} {quantisation}", flush=True)
            try:
                results["runs"].append(Run(settings, model, quantisation, reader).measure())
            except Exception as error:  # The other models' figures are worth keeping.
                traceback.print_exc()
                results["notes"].append(f"{model} {quantisation}: {type(error).__name__}: {error}"[:200])
    reader.end()
    if settings.append:
        append(results, settings.out / "generate.json")
    results["seconds"] = round(time.perf_counter() - began)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "generate.json").write_text(json.dumps(results, indent=1) + "\n")
    generate_report.write(results, settings.out)


if __name__ == "__main__":
    main()
