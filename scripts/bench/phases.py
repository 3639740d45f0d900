"""What is measured, each a function that adds rows to the results.

Engines take turns in every round, so that a busy moment strikes neighbours alike; ratios are taken within a round. The
order starts elsewhere in each round.
"""
import time

from documents import LENGTHS
from workers import Engine, Worker, WorkerError

REST_SECONDS = 0.03  # Between two engines: spinning threads of the last one go to sleep.
COUNTS = [1, 8, 64, 500, 2000]
GIVE_UP = 0.75  # A configuration whose first run is below this share of the best so far is let go.
SLOW = 0.6  # Engines below this share of the best peer of their kind are measured in every third round.


class Field:
    """The engines that run, each with its best batch and streams; who fails leaves, and the reason stays."""

    def __init__(self, engines, settings, results):
        self.engines, self.settings, self.results = list(engines), settings, results
        self.workers = {}

    def start(self, threads, environment={}, model=None, only=None):
        self.stop()
        for engine in self.running(only):
            self.workers[engine.name] = Worker(engine, self.settings, threads, environment, model)

    def stop(self):
        for worker in self.workers.values():
            worker.end()
        self.workers = {}

    def running(self, only=None):
        return [engine for engine in self.engines
                if engine.name not in self.results["failures"] and (only is None or only(engine))]

    def attempt(self, engine, body):
        """body(worker), or nothing when the engine fails, which is recorded."""
        worker = self.workers.get(engine.name)
        if worker is None or engine.name in self.results["failures"]:
            return None
        try:
            return body(worker)
        except WorkerError as error:
            if engine.name in self.results["rounds"].get("main", {}):
                # What it did before stays; it sits out until engines are started anew.
                self.results["notes"].append(f"{engine.name} left a later phase: {error}")
            else:
                self.results["failures"][engine.name] = str(error)
            worker.end()
            del self.workers[engine.name]
            print(f"  {engine.name}: {error}", flush=True)
            return None

    def configuration(self, engine, phase="main"):
        chosen = self.results["batches"]
        return dict(chosen.get(phase, {}).get(engine.name) or chosen["main"].get(engine.name) or {"batch": 16})


def say(phase, began):
    print(f"[{time.perf_counter() - began:6.1f} s] {phase}", flush=True)


def sweep(field, phase, batches, streams, seconds, **documents):
    """The best batch and streams of each engine for these documents. What is clearly behind after its first run is not
    run again; the others count by the best of three. An engine has about so many seconds."""
    chosen = field.results["batches"].setdefault(phase, {})
    rates = {}
    for engine in field.running():
        sizes = [64, 500] if engine.is_ours else batches
        several = streams if engine.program in ("openvino", "onnxruntime", "ctranslate2") else [1]
        if phase not in ("main", "one-thread"):
            several = [field.configuration(engine).get("streams", 1)]
        deadline = time.perf_counter() + seconds
        for ask in [dict(batch=size, streams=count, **documents) for count in several for size in sizes]:
            best = rates.get(engine.name, 0)
            if best and time.perf_counter() > deadline:
                break

            def run(worker):
                def rate():
                    answer = worker.ask(do="run", **ask)
                    return answer["documents"] / answer["wall_s"]

                worker.ask(do="run", **{**ask, "count": min(16, ask["batch"])})
                first = rate()
                hopeless = first < GIVE_UP * best or time.perf_counter() > deadline
                return first if hopeless else max(first, rate(), rate())

            rate = field.attempt(engine, run)
            if rate is not None and rate > best:
                rates[engine.name] = rate
                chosen[engine.name] = {"batch": ask["batch"], "streams": ask["streams"]}
        print(f"  {engine.name:18} {rates.get(engine.name, 0):7.1f} documents/s  {chosen.get(engine.name)}", flush=True)
    return rates


def rounds(field, phase, turns, seconds, slow=(), only=None, **documents):
    """`turns` rounds over the documents, or as many as fit so many seconds, but two; `step` is turned from round to
    round, so that all documents are read."""
    rows = field.results["rounds"].setdefault(phase, {})
    step = documents.get("step", 1)
    deadline = time.perf_counter() + seconds
    for number in range(turns):
        if number >= 2 and time.perf_counter() > deadline:
            field.results["notes"].append(f"{phase}: {number} rounds of {turns} fitted {seconds} s")
            break
        engines = field.running(only)
        turn = (number * 3) % max(1, len(engines))
        for engine in engines[turn:] + engines[:turn]:
            if engine.name in slow and number % 3:
                continue
            ask = {**documents, **field.configuration(engine, phase)}
            if step > 1:
                ask["first"] = number % step
            if number == 0 or (engine.name in slow):
                field.attempt(engine, lambda worker: worker.ask(do="run", **{**ask, "count": 40}))
            time.sleep(REST_SECONDS)
            answer = field.attempt(engine, lambda worker: worker.measure(**ask))
            if answer:
                rows.setdefault(engine.name, []).append({"round": number, **answer})


def latency(field, turns, **documents):
    """One document at a time, one stream. A round's figure is the median over its documents."""
    rows = field.results["rounds"].setdefault("latency", {})
    for number in range(turns):
        for engine in field.running():
            if number == 0:
                field.attempt(engine, lambda worker: (worker.ask(do="load"), worker.ask(do="one", **documents)))
            time.sleep(REST_SECONDS)
            answer = field.attempt(engine, lambda worker: worker.ask(do="one", **documents))
            if answer:
                seconds = sorted(answer["seconds"])
                rows.setdefault(engine.name, []).append({
                    "round": number, "wall_s": seconds[len(seconds) // 2], "p95_s": seconds[len(seconds) * 95 // 100],
                    "documents": 1})


def lengths(field, count, only):
    for length in LENGTHS:
        rounds(field, f"length-{length}", count, 15, only=only, set=f"length-{length}")


def counts(field, count, only, largest):
    for documents in [number for number in COUNTS if number <= largest]:
        rounds(field, f"count-{documents}", count, 30, only=only, set="accuracy", count=documents)


def accuracy(field, reference, cache):
    """Cosine to fp32 PyTorch over all documents of `accuracy`; a peer's is kept, since its versions are fixed."""
    import numpy

    path = field.settings.work / "vectors.f32"
    for engine in field.running():
        row = cache.get(engine.name) if not engine.is_ours else None
        if row is None:
            ask = dict(set="accuracy", path=str(path), **field.configuration(engine))
            if field.attempt(engine, lambda worker: worker.ask(do="vectors", **ask)) is None:
                continue
            vectors = numpy.fromfile(path, numpy.float32).reshape(-1, reference.shape[1]).astype(numpy.float64)
            lengths = numpy.linalg.norm(vectors, axis=1) * numpy.linalg.norm(reference, axis=1)
            cosines = (vectors * reference).sum(1) / lengths
            row = {"mean": float(cosines.mean()), "min": float(cosines.min()), "documents": len(cosines)}
            if not engine.is_ours:
                cache[engine.name] = row
        field.results["accuracy"][engine.name] = row
    path.unlink(missing_ok=True)


def memory_and_load(field, threads, **documents):
    """A process of its own for each engine, at its best batch: time to the first embedding, then the peak. No other is
    running."""
    for engine in field.running():
        ask = {**documents, **field.configuration(engine)}
        streams = ask.get("streams", 1)
        tries = []
        for _ in range(3):
            field.workers[engine.name] = Worker(engine, field.settings, threads)
            answer = field.attempt(engine, lambda worker: {
                **worker.ask(do="load", streams=streams), "process_s": time.perf_counter() - worker.started})
            if answer is None:
                break
            tries.append(answer)
            if len(tries) < 3:
                field.workers[engine.name].end()
        if not tries:
            continue
        peak = field.attempt(engine, lambda worker: (worker.ask(do="run", **ask), worker.ask(do="memory"))[1])
        if engine.name in field.workers:
            field.workers.pop(engine.name).end()
        middle = sorted(tries, key=lambda row: row["first_s"])[len(tries) // 2]
        field.results["memory"][engine.name] = {**middle, **(peak or {})}
    field.workers = {}


def products(settings, results, turns):
    """The dense products alone, one thread: ours and oneDNN's in turns, the best of each."""
    found = results["products"]
    for kind in ("fp32", "bf16", "int8"):
        workers = {}
        try:
            workers = {"ours": Worker(Engine("ours", kind), settings, 1), "oneDNN": Worker(Engine("pytorch", kind), settings, 1)}
            for _ in range(turns):
                for name, worker in workers.items():
                    for shape in worker.ask(do="products", repeat_count=40)["shapes"]:
                        key = f"{shape['inputs']} → {shape['outputs']}"
                        row = found.setdefault(key, {}).setdefault(kind, {})
                        row[name] = max(row.get(name, 0), shape["rate"])
        except WorkerError as error:
            results["notes"].append(f"products alone, {kind}: {error}")
        finally:
            for worker in workers.values():
                worker.end()
