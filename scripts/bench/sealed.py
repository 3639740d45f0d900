"""Whole jobs and the bare engine in turns; started by sealed.sh, which has the daemon and the worker running.

A job's time is that of its attempt in the queue: from the claim, over download, key, opening, inference, sealing and
receipt, to the commit. One job before the clock starts loads the model. In int8, whose overhead weighs most, where a job can
ask for it; else in fp32.
"""
import argparse
import json
import pathlib
import subprocess

from workers import Engine, Worker, WorkerError

COPIES = {"int8": 2, "fp32": 1}  # Of the 2,000 documents of `accuracy`.


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise WorkerError(words[-1] if words else f"{command[1]} ended with {done.returncode}")
    return done.stdout


def job_seconds(ephemeral, documents, options):
    job = output(ephemeral, "submit", str(documents), *options).split()[-1]
    output(ephemeral, "watch", job, "--timeout", "600")
    attempt = json.loads(output(ephemeral, "queue", "inspect", job, "--json"))["attempts"][-1]
    return (attempt["ended_ms"] - attempt["started_ms"]) / 1000


def main():
    parser = argparse.ArgumentParser()
    for name in ("ephemeral", "program", "model", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    settings = parser.parse_args()
    texts = json.loads((settings.work / "documents" / "accuracy.json").read_text(encoding="utf-8"))["texts"]
    chosen = "--precision" in output(settings.ephemeral, "submit", "--help")
    kind = "int8" if chosen else "fp32"
    options = ["--precision", kind] if chosen else []
    copies = COPIES[kind]

    def write(name, texts):
        path = settings.work / name
        with open(path, "w", encoding="utf-8") as file:
            for number, text in enumerate(texts):
                file.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False) + "\n")
        return path

    documents, few = write("sealed.jsonl", texts * copies), write("sealed-few.jsonl", texts[:64])
    worker = Worker(Engine("ours", kind), settings, settings.threads)
    rows = []
    try:
        job_seconds(settings.ephemeral, few, options)
        worker.ask(do="run", set="main", batch=500)
        for _ in range(settings.rounds):
            bare = sum(worker.ask(do="run", set="accuracy", batch=500)["wall_s"] for _ in range(copies))
            rows.append({"bare_s": bare, "sealed_s": job_seconds(settings.ephemeral, documents, options)})
    finally:
        worker.end()
    results = {"documents": len(texts) * copies, "rounds": {kind: rows}}
    (settings.work / "sealed.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
