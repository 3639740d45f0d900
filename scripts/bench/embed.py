"""`make bench-embed`: our engine and its peers, interleaved in one run, on the same documents and threads.

    python embed.py --program BENCH_EMBED --model MODEL_DIR --work WORK_DIR --out OUT_DIR
                    [--rounds N] [--threads N] [--quick] [--only PROGRAM,…] [--phases NAME,…]

Writes OUT_DIR/embed.json, embed.md and embed.png. What a peer cannot do leaves a row that says why.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

import phases
import report
from machine import processor
from workers import HERE, Engine, Worker, WorkerError

ENGINES = [
    Engine(*words.split()) for words in [
        "ours fp32", "openvino fp32", "onnxruntime fp32", "ctranslate2 fp32", "pytorch fp32",
        "ours bf16", "openvino bf16", "llamacpp bf16", "llamacpp f16", "pytorch bf16",
        "ours int8", "openvino int8", "onnxruntime int8", "ctranslate2 int8", "llamacpp q8_0",
    ]
]
PACKAGES = {
    "pytorch": ["torch", "transformers"], "onnxruntime": ["onnxruntime"], "openvino": ["openvino", "nncf"],
    "ctranslate2": ["ctranslate2"], "llamacpp": ["llama-cpp-python", "gguf"],
}
CONVERSION_SECONDS = 400
# Half a minute a round on a machine that does nothing else.
SEALED_SECONDS = 900


def versions(program):
    found = {}
    for package in PACKAGES.get(program, []):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None
    return found


def install_failures(settings):
    """Reasons that scripts/bench-embed.sh left for peers that did not install."""
    failures = {}
    for engine in ENGINES:
        if engine.is_ours:
            continue
        note = settings.work / "failed" / engine.program
        if note.exists():
            failures[engine.name] = note.read_text().strip()[:200] or "did not install"
        elif versions(engine.program) is None:
            failures[engine.name] = "not installed"
    return failures


def convert(settings, failures):
    """Makes the peers' models that are not there yet, each in a process of its own."""
    for engine in ENGINES:
        name = engine.model
        if name is None or engine.name in failures or (settings.work / name / "complete").exists():
            continue
        print(f"converting: {name}", flush=True)
        log = settings.work / f"{name}.log"
        try:
            with open(log, "w") as file:
                subprocess.run(
                    [sys.executable, str(HERE / "convert.py"), name, str(settings.model), str(settings.work)],
                    stdout=file, stderr=file, timeout=CONVERSION_SECONDS, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            failures[engine.name] = f"conversion: {lines[-1] if lines else 'no output'}"[:200]


def calibrate(settings):
    """The scales that our int8 has when a model is published."""
    subprocess.run([settings.program, "calibrate", "--model", settings.model, "--scales", settings.work / "int8.scales"],
                   check=True)


def reference(settings):
    """fp32 PyTorch's embeddings of the documents of `accuracy`; kept, since its version is fixed."""
    import numpy

    path = settings.work / "reference.f32"
    if not path.exists():
        worker = Worker(Engine("pytorch", "fp32"), settings, settings.threads)
        try:
            worker.ask(do="vectors", set="accuracy", batch=8, path=str(path) + ".new")
            os.rename(str(path) + ".new", path)
        except WorkerError as error:
            print(f"no reference, so no accuracy: {error}", flush=True)
            return None
        finally:
            worker.end()
    return numpy.fromfile(path, numpy.float32).reshape(-1, 384).astype(numpy.float64)


def folder_of_512_tokens(settings):
    """A folder like the model's that reads 512 tokens, for the cost by length."""
    folder = settings.work / "model-512"
    folder.mkdir(exist_ok=True)
    for path in settings.model.iterdir():
        link = folder / path.name
        if path.name != "sentence_bert_config.json" and not link.exists():
            link.symlink_to(path.resolve())
    limits = json.loads((settings.model / "sentence_bert_config.json").read_text())
    (folder / "sentence_bert_config.json").write_text(json.dumps({**limits, "max_seq_length": 512}))
    return folder


class Run:
    """The phases in their order. One that fails leaves a note, and the rest goes on."""

    def __init__(self, settings, results):
        self.settings, self.results = settings, results
        self.field = phases.Field(
            [engine for engine in ENGINES if settings.only is None or engine.program in settings.only], settings, results)
        self.threads, self.slow = settings.threads, set()
        self.few = max(2, settings.rounds * 2 // 3)
        self.step = 8 if settings.quick else 2
        self.began = time.perf_counter()

    def phase(self, name, words, body):
        if self.settings.phases is not None and name not in self.settings.phases:
            return
        phases.say(words, self.began)
        try:
            body()
        except Exception as error:  # A defect of the bench: nine good phases are worth keeping.
            traceback.print_exc()
            self.results["notes"].append(f"{words}: {type(error).__name__}: {error}"[:200])
        save(self.results, self.settings)

    def all(self):
        quick = self.settings.quick
        self.choose()
        self.phase("main", "documents of 113 tokens on average", lambda: phases.rounds(
            self.field, "main", self.settings.rounds, 60 if quick else 300, slow=self.slow, set="main", step=self.step))
        self.phase("accuracy", "accuracy", self.accuracy)
        self.leave_slow()
        self.phase("short", "short texts", lambda: self.sweep_and_rounds("short", [8, 16, 32, 64], 4, 2 if quick else 1))
        self.phase("long", "long texts", lambda: self.sweep_and_rounds("long", [2, 4, 8, 16], 8, 4 if quick else 2))
        self.phase("count", "cost by number of documents", lambda: phases.counts(
            self.field, 2, lambda engine: engine.is_ours or engine.name == "openvino int8", 64 if quick else 2000))
        self.phase("latency", "one document at a time", lambda: phases.latency(
            self.field, self.few, set="short", count=50 if quick else 100))
        self.phase("length", "cost by length", self.lengths)
        if self.threads > 1:
            self.phase("one-thread", "one thread", self.one_thread)
        self.phase("avx2", "AVX2 alone", self.avx2)
        self.field.stop()
        self.phase("memory", "memory and load, a process of its own each", lambda: phases.memory_and_load(
            self.field, self.threads, set="main", step=4))
        self.field.stop()
        self.phase("products", "the dense products alone", lambda: phases.products(
            self.settings, self.results, 2 if quick else 4))
        self.phase("sealed", "the sealed way", lambda: sealed(self.settings, self.results))
        self.results["seconds"] = round(time.perf_counter() - self.began)

    def is_fast(self, engine):
        return engine.name not in self.slow

    def is_seam(self, engine):
        """Ours and the best peer's program: for what is measured of these alone."""
        return self.is_fast(engine) and engine.program in ("ours", "openvino")

    def choose(self):
        phases.say(f"best batch of each engine, threads: {self.threads}", self.began)
        self.field.start(self.threads)
        rates = phases.sweep(
            self.field, "main", [8, 16] if self.settings.quick else [4, 8, 16, 32], [1, 2] if self.threads > 1 else [1], 12,
            set="main", step=8)
        self.slow = slow_engines(rates)

    def accuracy(self):
        vectors = reference(self.settings)
        if vectors is None:
            return
        path = self.settings.work / "accuracy.json"
        cache = json.loads(path.read_text()) if path.exists() else {}
        phases.accuracy(self.field, vectors, cache)
        path.write_text(json.dumps(cache, indent=1))

    def leave_slow(self):
        for name in self.slow & self.field.workers.keys():
            self.field.workers.pop(name).end()

    def sweep_and_rounds(self, name, batches, sweep_step, step):
        phases.sweep(self.field, name, batches, [1], 4, set=name, step=sweep_step)
        phases.rounds(self.field, name, self.few, 60, only=self.is_fast, set=name, step=step)

    def lengths(self):
        self.field.start(self.threads, model=folder_of_512_tokens(self.settings), only=self.is_seam)
        phases.lengths(self.field, 2 if self.settings.quick else 3, self.is_seam)

    def one_thread(self):
        self.field.start(1, only=self.is_fast)
        phases.sweep(self.field, "one-thread", [4, 8, 16], [1], 4, set="main", step=16)
        phases.rounds(self.field, "one-thread", self.few, 80, only=self.is_fast, set="main", step=self.step * 2)

    def avx2(self):
        self.field.start(self.threads, {"EPHEMERALML_KERNEL": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}, only=self.is_seam)
        for engine in self.field.running(lambda engine: engine.is_ours):
            answer = self.field.attempt(engine, lambda worker: worker.ask(do="load"))
            if answer and answer.get("kernel") != "avx2":
                self.results["notes"].append(f"{engine.name}: the kernel stayed {answer.get('kernel')} under the cap")
                self.field.workers.pop(engine.name).end()
        phases.rounds(self.field, "avx2", self.few, 60, only=self.is_seam, set="main", step=self.step * 2)


def save(results, settings):
    (settings.work / "embed.json").write_text(json.dumps(results, indent=1) + "\n")


def sealed(settings, results):
    """Whole jobs through daemon and worker beside the bare engine; sealed.sh."""
    log = settings.work / "sealed.log"
    words = [sys.executable, settings.program, settings.model, settings.work.resolve(), 2 if settings.quick else 3,
             settings.threads]
    try:
        with open(log, "w") as file:
            # A session of its own: daemon, worker and cloud end with it.
            script = subprocess.Popen(
                [str(HERE / "sealed.sh"), *map(str, words)], stdout=file, stderr=file, start_new_session=True)
            try:
                status = script.wait(timeout=SEALED_SECONDS)
            except BaseException:
                os.killpg(script.pid, signal.SIGTERM)
                script.wait(timeout=30)
                raise
        if status != 0:
            raise subprocess.CalledProcessError(status, "sealed.sh")
        results["sealed"] = json.loads((settings.work / "sealed.json").read_text())
    except subprocess.TimeoutExpired:
        results["notes"].append(f"the sealed way was not measured: it took more than {SEALED_SECONDS} s")
    except subprocess.CalledProcessError:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        results["notes"].append(f"the sealed way was not measured: {lines[-1] if lines else 'no output'}"[:200])


def slow_engines(rates):
    """Those far behind the best peer of their kind: their figure is taken in fewer rounds."""
    slow = set()
    for kind in ("fp32", "bf16", "int8"):
        peers = {e.name: rates[e.name] for e in ENGINES if e.kind == kind and e.name in rates and not e.is_ours}
        slow |= {name for name, rate in peers.items() if rate < phases.SLOW * max(peers.values())}
    return slow


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "model", "work", "out"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    words = lambda text: text.split(",")
    parser.add_argument("--only", type=words)
    parser.add_argument("--phases", type=words)
    settings = parser.parse_args()
    settings.program, settings.model = settings.program.resolve(), settings.model.resolve()
    results = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": os.environ.get("EPHEMERALML_COMMIT", ""), "machine": processor(), "threads": settings.threads,
        "rounds_asked": settings.rounds, "quick": settings.quick,
        "documents": (settings.work / "documents" / "digest").read_text(),
        "versions": {program: versions(program) or {} for program in PACKAGES},
        "order": [engine.name for engine in ENGINES if settings.only is None or engine.program in settings.only],
        "failures": install_failures(settings), "notes": [], "batches": {}, "rounds": {}, "accuracy": {}, "memory": {}, "products": {},
    }
    if settings.only:
        results["notes"].append(f"Only these ran: {', '.join(settings.only)}.")
    convert(settings, results["failures"])
    calibrate(settings)
    Run(settings, results).all()
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "embed.json").write_text(json.dumps(results, indent=1) + "\n")
    report.write(results, settings.out)


if __name__ == "__main__":
    main()
