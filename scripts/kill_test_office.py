"""The parts that kill-test.py starts and kills: devcloud, worker, daemon, and everybody's commands."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("EPHEMERALML_BIN", ROOT / ".build/release"))


class Trouble(Exception):
    """What makes the test fail, in words."""


class Office:
    """One host with everybody on it. Processes are known by their ids and ended by them."""
    states = ("held", "ready", "running", "retry_wait", "finished", "cancelled", "dead")

    def __init__(self, folder, kind, small_disk, workers=1, tenants=0, schedule=None):
        self.folder, self.kind, self.small_disk = folder, kind, small_disk
        self.workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self.tenants = [f"team-{number}" for number in range(1, tenants + 1)]
        self.schedule = schedule
        self.host = folder / "host"
        self.running, self.logs, self.items = {}, {}, {}
        self.attempts = 0
        self.bucket = None
        self.environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(folder), "EPHEMERAL_HOME": str(folder / "analyst"),
            "SWIFT_BACKTRACE": "enable=no"}

    # Programs

    def launch(self, name, *command):
        log = open(self.folder / f"{name}.log", "ab")
        self.logs[name] = self.folder / f"{name}.log"
        self.running[name] = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
            start_new_session=True)
        log.close()

    def wait_for(self, name, words, seconds=60):
        limit = time.monotonic() + seconds
        while not self.log_says(name, words):
            if self.running[name].poll() is not None or time.monotonic() > limit:
                raise Trouble(f"{name} does not say \"{words}\"; its log is {self.logs[name]}")
            time.sleep(0.05)

    def log_says(self, name, words):
        return words in self.logs[name].read_text(errors="replace")

    def kill(self, name):
        """SIGKILL, to this process alone. False when it had ended by itself."""
        process = self.running[name]
        was_alive = process.poll() is None
        if was_alive:
            process.send_signal(signal.SIGKILL)
        process.wait()
        return was_alive

    def start(self, name):
        sockets = self.folder
        if name in self.workers:
            self.launch(name, BIN / "enclave-worker", "--image", self.folder / "image", "--listen",
                        f"unix:{sockets}/{name}.sock")
        else:
            workers = [word for worker in self.workers for word in ("--worker", f"{worker}=unix:{sockets}/{worker}.sock")]
            self.launch(
                "daemon", BIN / "ephemeral", "daemon", "run", "--store", self.store, "--state", self.host, *workers,
                "--relay-target", f"unix:{sockets}/kms.sock", "--relay-listen",
                f"unix:{sockets}/relay.sock", "--socket", f"{sockets}/daemon.sock", "--policy-key",
                self.folder / "policy.pub", "--aws-profile", f"{self.folder}/cloud/credentials:host", "--poll", "0.1",
                *(("--schedules", sockets / "schedules") if self.schedule else ()))

    def keep_alive(self):
        """Starts again what ended by itself, as a supervisor does."""
        for name in (*self.workers, "daemon"):
            if self.running[name].poll() is not None:
                self.start(name)

    def run(self, *command, timeout=120):
        return subprocess.run([str(word) for word in command], env=self.environment, cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)

    def ephemeral(self, *arguments, timeout=120):
        return self.run(BIN / "ephemeral", *arguments, timeout=timeout)

    def begin(self, *arguments):
        """An operator's command whose end nobody waits for."""
        return subprocess.Popen(
            [str(word) for word in (BIN / "ephemeral", *arguments, "--socket", self.folder / "daemon.sock")],
            env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)

    def succeed(self, *command):
        finished = self.run(*command)
        if finished.returncode != 0:
            raise Trouble(f"{pathlib.Path(command[0]).name} {' '.join(map(str, command[1:3]))} ended with "
                          f"{finished.returncode}:\n{finished.stdout[-1500:]}{finished.stderr[-3000:]}")
        return finished.stdout.strip()

    # The opening

    def open(self):
        """Everything up to a daemon that has announced an epoch."""
        for name in ("enclave-worker", "ephemeral", "devcloud"):
            if not os.access(BIN / name, os.X_OK):
                raise Trouble(f"{BIN / name} is not there; `make build` makes it")
        folder = self.folder
        os.chmod(folder, 0o700)
        self.host.mkdir(mode=0o700)
        if self.small_disk:
            self.succeed("mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "none", self.host)
        self.open_store()
        self.succeed(BIN / "devcloud", "init", "--state", folder / "cloud")
        self.launch("devcloud", BIN / "devcloud", "run", "--state", folder / "cloud", "--nsm-socket",
                    folder / "nsm.sock", "--kms-socket", folder / "kms.sock", "--kms-port", "0")
        self.wait_for("devcloud", "devcloud ready")
        self.prepare()
        if self.schedule:
            (folder / "schedules").mkdir()
            (folder / "schedules" / f"{self.schedule}.yaml").write_text(f"name: {self.schedule}\n")
        for worker in self.workers:
            self.start(worker)
            self.wait_for(worker, "enclave-worker ready")
        self.start("daemon")
        self.wait_for("daemon", "worker is ready")

    def open_store(self):
        if self.kind == "dir":
            (self.folder / "store").mkdir()
            self.store = f"file://{self.folder}/store"
            return
        endpoint = self.succeed(ROOT / "scripts/moto.sh", "start", self.folder, os.getpid())
        for line in (self.folder / "moto.env").read_text().splitlines():
            name, value = line.split("=", 1)
            self.environment[name] = value
        self.store = f"s3://bucket/kill?endpoint={endpoint}&region=us-east-1"
        import boto3  # of .cache/venv-moto, with whose Python `make kill-test STORE=s3` runs this
        self.bucket = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1",
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"])

    def prepare(self):
        """Security officer, model owner and analyst, as docs/quickstart.md tells them to."""
        folder, program = self.folder, BIN / "ephemeral"
        cloud = folder / "cloud"
        keys = json.loads((cloud / "keys.json").read_text())
        self.succeed(program, "policy", "keygen", "--output", folder / "policy")
        image = folder / "image"
        image.mkdir()
        (image / "evidence-class").write_text("development\n")
        (image / "policy.pub").write_text((folder / "policy.pub").read_text())
        (image / "kms-roots.pem").write_text((cloud / "kms-roots.pem").read_text())
        (image / "security-module").write_text(f"unix:{folder}/nsm.sock\n")
        measured = json.loads(self.succeed(
            BIN / "devcloud", "measure", "--worker", BIN / "enclave-worker", "--image", image, "--json"))
        registers = [word for name in ("pcr0", "pcr1", "pcr2") for word in (f"--{name}", measured[name])]
        self.succeed(BIN / "devcloud", "allow", "--state", cloud, *registers)
        write_tiny_model(folder / "tiny")
        owner = ["--home", folder / "owner"]
        model = self.succeed(
            program, "models", "publish", folder / "tiny", *owner, "--store", self.store, "--kms-key", keys["model_key"],
            "--aws-profile", f"{cloud}/credentials:publisher", "--kms-endpoint", f"unix:{folder}/kms.sock", "--kms-roots",
            cloud / "kms-roots.pem")
        self.succeed(program, "setup", "--store", self.store, "--profile", "dev", "--class", "development", "--root",
                     cloud / "attestation-root.pem", "--policy-key", folder / "policy.pub", "--name", "analyst")
        submitter = self.succeed(program, "keys", "export", "--name", "analyst", "--model", model)
        publisher = self.succeed(program, "keys", "export", "--publisher", "--name", "owner", "--model-key",
                                 keys["model_key"], *owner)
        listed = ", ".join(f'{name}: "{measured[name]}"' for name in ("pcr0", "pcr1", "pcr2"))
        (folder / "policy.yaml").write_text(
            f"version: 1\nvalid_for_days: 30\nmeasurements:\n  - {{name: worker, {listed}}}\n"
            f"epoch_key: {keys['epoch_key']}\nsubmitters:\n{submitter}\npublishers:\n{publisher}\n")
        self.succeed(program, "policy", "sign", folder / "policy.yaml", "--key", folder / "policy.key", "--output",
                     folder / "policy.cose")
        self.succeed(program, "policy", "install", folder / "policy.cose", "--profile", "dev")

    # People

    def submit(self, number, count, tenant=None, scheduled=False):
        """Submits a job of so many documents; its name, or None when `submit` said no."""
        path = self.folder / "batch.jsonl"
        path.write_text("".join(
            json.dumps({"id": f"doc-{number}-{index}", "text": f"a report of the river, number {number}"}) + "\n"
            for index in range(count)))
        finished = self.ephemeral(
            "submit", path, *(("--tenant", tenant) if tenant else ()),
            *(("--schedule", self.schedule) if scheduled else ()))
        job = finished.stdout.strip()
        if finished.returncode != 0 or len(job) != 64:
            return None
        self.items[job] = count
        return job

    def operate(self, *arguments, **fallback):
        """What an operator's command prints with --json. With `default`, that when it fails."""
        finished = self.ephemeral(*arguments, "--socket", self.folder / "daemon.sock")
        if finished.returncode != 0:
            if "default" in fallback:
                return fallback["default"]
            raise Trouble(f"{' '.join(arguments)} ended with {finished.returncode}: {finished.stdout}{finished.stderr}")
        return json.loads(finished.stdout)

    def read(self, key):
        if self.bucket is None:
            path = self.folder / "store" / key
            return path.read_bytes() if path.exists() else None
        try:
            return self.bucket.get_object(Bucket="bucket", Key=f"kill/{key}")["Body"].read()
        except self.bucket.exceptions.NoSuchKey:
            return None

    def keys(self, prefix):
        if self.bucket is None:
            folder = self.folder / "store" / prefix
            return [str(path.relative_to(self.folder / "store")) for path in folder.rglob("*") if path.is_file()]
        pages = self.bucket.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=f"kill/{prefix}")
        return [entry["Key"][len("kill/"):] for page in pages for entry in page.get("Contents", ())]

    def commit(self, job):
        return self.read(f"jobs/{job}/commit.json")

    def committed_jobs(self):
        keys = [key.split("/") for key in self.keys("jobs")]
        self.attempts = sum(json.loads(self.read("/".join(key)))["attempt"] for key in keys if key[-1] == "commit.json")
        return {key[1] for key in keys if key[-1] == "commit.json"}

    def close(self):
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        if self.small_disk:
            subprocess.run(["umount", self.host], capture_output=True, check=False)
        if self.kind == "s3":
            subprocess.run([ROOT / "scripts/moto.sh", "stop", self.folder], env=self.environment, check=False)


def write_tiny_model(folder):
    """A BERT of one layer and 32 floats: every step of loading and computing is the real one, in milliseconds."""
    width, inner, positions, words = 32, 64, 24, ["the", "a", "of", "##s", "report", "memo", "note", "bridge", "river", "."]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + words
    layer = "encoder.layer.0."
    shapes = {"embeddings.position_embeddings.weight": (positions, width),
              "embeddings.word_embeddings.weight": (len(vocabulary) + 1, width),
              "embeddings.token_type_embeddings.weight": (2, width)}
    for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
        shapes[f"{layer}{name}.weight"], shapes[f"{layer}{name}.bias"] = (width, width), (width,)
    shapes |= {f"{layer}intermediate.dense.weight": (inner, width), f"{layer}intermediate.dense.bias": (inner,),
               f"{layer}output.dense.weight": (width, inner), f"{layer}output.dense.bias": (width,)}
    for name in ("embeddings.LayerNorm", f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm"):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (width,), (width,)
    header, data = {}, b""
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        base = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        values = [base + ((index * 37 + len(name)) % 61 - 30) / 128 for index in range(count)]
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack(f"<{count}f", *values)
    text = json.dumps(header, separators=(",", ":")).encode()
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": inner, "vocab_size": len(vocabulary) + 1, "max_position_embeddings": positions,
        "type_vocab_size": 2}))
    (folder / "tokenizer.json").write_text(json.dumps({
        "added_tokens": [{"id": 2, "content": "[CLS]", "special": True}, {"id": 3, "content": "[SEP]", "special": True}],
        "normalizer": {"type": "BertNormalizer", "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]",
                  "vocab": {word: index for index, word in enumerate(vocabulary)}}}))
