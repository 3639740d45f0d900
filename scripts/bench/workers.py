"""The processes that compute: one for each engine, in step with the bench."""
import json
import os
import pathlib
import select
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
ANSWER_SECONDS = 300


class WorkerError(Exception):
    """Why an engine gives no figure; the words stand in the table."""


class Engine:
    """What is measured: a program and a precision."""

    def __init__(self, program, precision):
        self.program, self.precision = program, precision

    @property
    def name(self):
        return f"{self.program} {self.precision}"

    @property
    def is_ours(self):
        return self.program == "ours"

    @property
    def kind(self):
        """What it is compared with: fp32, bf16 (other halves too) or int8."""
        return {"f16": "bf16", "q8_0": "int8"}.get(self.precision, self.precision)

    @property
    def model(self):
        """The conversion that it needs; none when it reads the original."""
        if self.program in ("ours", "pytorch"):
            return None
        if self.program == "openvino":
            return "openvino-int8" if self.precision == "int8" else "openvino-fp32"
        return {"onnxruntime": f"onnx-{self.precision}", "ctranslate2": "ctranslate2",
                "llamacpp": f"gguf-{self.precision}"}[self.program]


def busy_seconds():
    """Processor time of the whole machine so far, stolen time too."""
    fields = open("/proc/stat").readline().split()[1:9]
    user, nice, system, idle, wait, irq, soft, steal = map(int, fields)
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


class Process:
    """A process that answers commands, one JSON object a line."""

    def __init__(self, command, log, threads, environment={}):
        self.log = log
        self.log.parent.mkdir(exist_ok=True)
        self.started = time.perf_counter()
        # OMP_NUM_THREADS for those that ask OpenMP; the OpenBLAS variables would slow current libraries down.
        base = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.log, "w"),
            env={**base, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false",
                 "PYTHONDONTWRITEBYTECODE": "1", **environment})

    def ask(self, **command):
        """The answer; throws WorkerError when there is none in time or the engine says an error."""
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise self.ended() from None
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_SECONDS)
        if not ready:
            self.end()
            raise WorkerError(f"no answer to `{command['do']}` in {ANSWER_SECONDS} s")
        line = self.process.stdout.readline()
        if not line:
            raise self.ended()
        answer = json.loads(line)
        if answer.get("error"):
            raise WorkerError(" ".join(answer["error"].split())[:200])
        return answer

    def ended(self):
        code = self.process.wait()
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return WorkerError((lines[-1] if lines else f"ended with {code}")[:200])

    def end(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass  # A command that the process did not live to read.


class Worker(Process):
    """One engine's process."""

    def __init__(self, engine, settings, threads, environment={}, model=None):
        self.engine = engine
        model = model or settings.model
        if engine.is_ours:
            command = [str(settings.program), engine.precision, "--model", str(model), "--documents",
                       str(settings.work / "documents"), "--threads", str(threads), "--scales",
                       str(settings.work / "int8.scales")]
        else:
            command = [sys.executable, str(HERE / "peers.py"), engine.program, engine.precision, "--model", str(model),
                       "--work", str(settings.work), "--threads", str(threads)]
        super().__init__(command, settings.work / "log" / f"{engine.name.replace(' ', '-')}.log", threads, environment)

    def measure(self, **command):
        """A run, and `elsewhere`: processors that other processes kept busy meanwhile. That is the noise."""
        before = busy_seconds()
        answer = self.ask(do="run", **command)
        others = busy_seconds() - before - answer["cpu_s"]
        answer["elsewhere"] = round(max(0, others) / answer["wall_s"], 2)
        return answer
