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
import platform
import subprocess
import sys
import time

import phases
import report
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


def versions(program):
    found = {}
    for package in PACKAGES.get(program, []):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None
    return found


def processor():
    facts = dict(
        line.split(":", 1) for line in open("/proc/cpuinfo").read().split("\n\n")[0].splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    wanted = ["avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8"]
    have = set(facts.get("flags", "").split())
    return {
        "name": facts.get("model name", platform.machine()), "family": facts.get("cpu family"),
        "model": facts.get("model"), "processors": os.cpu_count(), "flags": [flag for flag in wanted if flag in have],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}",
    }


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


def smaller_sequence_limit(settings):
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


def measure(settings, results):
    began = time.perf_counter()
    few = max(2, settings.rounds * 2 // 3)
    step = 8 if settings.quick else 2
    wanted = lambda name: settings.phases is None or name in settings.phases
    field = phases.Field(
        [engine for engine in ENGINES if settings.only is None or engine.program in settings.only], settings, results)
    threads = settings.threads

    def fast(engine):
        return engine.name not in slow

    phases.say(f"best batch of each engine, {threads} threads", began)
    field.start(threads)
    rates = phases.sweep(
        field, "main", [8, 16] if settings.quick else [4, 8, 16, 32], [1, 2] if threads > 1 else [1], 12,
        set="main", step=8)
    slow = slow_engines(rates)
    if wanted("main"):
        phases.say("documents of 113 tokens on average", began)
        phases.rounds(field, "main", settings.rounds, 60 if settings.quick else 300, slow=slow, set="main", step=step)
    if wanted("accuracy"):
        phases.say("accuracy", began)
        vectors = reference(settings)
        if vectors is not None:
            path = settings.work / "accuracy.json"
            cache = json.loads(path.read_text()) if path.exists() else {}
            phases.accuracy(field, vectors, cache)
            path.write_text(json.dumps(cache, indent=1))
    for engine in field.running(lambda engine: not fast(engine)):
        field.workers[engine.name].end()
        del field.workers[engine.name]
    if wanted("short"):
        phases.say("short texts", began)
        phases.sweep(field, "short", [8, 16, 32, 64], [1], 4, set="short", step=4)
        phases.rounds(field, "short", few, 60, only=fast, set="short", step=2 if settings.quick else 1)
    if wanted("long"):
        phases.say("long texts", began)
        phases.sweep(field, "long", [2, 4, 8, 16], [1], 4, set="long", step=8)
        phases.rounds(field, "long", few, 60, only=fast, set="long", step=4 if settings.quick else 2)
    if wanted("count"):
        phases.say("cost by number of documents", began)
        phases.counts(
            field, 2, lambda engine: engine.is_ours or engine.name == "openvino int8", 64 if settings.quick else 2000)
    if wanted("latency"):
        phases.say("one document at a time", began)
        phases.latency(field, few, set="short", count=50 if settings.quick else 100)
    if wanted("length"):
        phases.say("cost by length", began)
        field.start(threads, model=smaller_sequence_limit(settings),
                    only=lambda engine: fast(engine) and engine.program in ("ours", "openvino"))
        phases.lengths(field, 2 if settings.quick else 3, fast)
    if wanted("one-thread") and threads > 1:
        phases.say("one thread", began)
        field.start(1, only=fast)
        phases.sweep(field, "one-thread", [4, 8, 16], [1], 4, set="main", step=16)
        phases.rounds(field, "one-thread", few, 80, only=fast, set="main", step=step * 2)
    if wanted("avx2"):
        phases.say("AVX2 alone", began)
        field.start(threads, {"EPHEMERALML_KERNEL": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
                    only=lambda engine: fast(engine) and engine.program in ("ours", "openvino"))
        for engine in field.running(lambda engine: engine.is_ours):
            answer = field.attempt(engine, lambda worker: worker.ask(do="load"))
            if answer and answer.get("kernel") != "avx2":
                results["notes"].append(f"{engine.name}: this build's kernel stayed {answer.get('kernel')} under the cap")
                field.workers.pop(engine.name).end()
        phases.rounds(field, "avx2", few, 60, only=fast, set="main", step=step * 2)
    field.stop()
    if wanted("memory"):
        phases.say("memory and load, a process of its own each", began)
        phases.memory_and_load(field, threads, set="main", step=4)
    field.stop()
    if wanted("products"):
        phases.say("the dense products alone", began)
        phases.products(settings, results, 2 if settings.quick else 4)
    if wanted("sealed"):
        phases.say("the sealed way", began)
        sealed(settings, results)
    results["seconds"] = round(time.perf_counter() - began)


def sealed(settings, results):
    """Whole jobs through daemon and worker beside the bare engine; sealed.sh."""
    log = settings.work / "sealed.log"
    words = [sys.executable, settings.program, settings.model, settings.work.resolve(), 2 if settings.quick else 3,
             settings.threads]
    try:
        with open(log, "w") as file:
            subprocess.run([str(HERE / "sealed.sh"), *map(str, words)], stdout=file, stderr=file, timeout=300, check=True)
        results["sealed"] = json.loads((settings.work / "sealed.json").read_text())
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
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
    convert(settings, results["failures"])
    measure(settings, results)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "embed.json").write_text(json.dumps(results, indent=1) + "\n")
    report.write(results, settings.out)


if __name__ == "__main__":
    main()
