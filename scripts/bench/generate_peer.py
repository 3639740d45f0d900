"""llama.cpp as a process that answers commands, one JSON object a line, on its standard streams.

    python generate_peer.py FILE.gguf

    {"do": "load"}                                           → {"load_s", "system"}
    {"do": "prefill", "threads", "tokens": 512}              → {"wall_s", "cpu_s", "tokens"}: a prompt, and the logits behind it
    {"do": "generate", "threads", "sequences", "tokens": 128, "steps": 32}
                                                             → the same, of `steps` tokens of each sequence, behind as many
                                                               tokens that are read before the clock starts
    {"do": "memory"}                                         → {"peak_bytes"}

Tests/Benchmarks/Generate answers the same commands.
"""
import json
import os
import resource
import sys
import time

import numpy

MOST_SEQUENCES = 16


class LlamaCpp:
    def __init__(self, path):
        self.path, self.contexts = path, {}

    def load(self, command):
        import llama_cpp

        self.library = llama_cpp
        llama_cpp.llama_backend_init()
        started = time.perf_counter()
        self.model = llama_cpp.llama_model_load_from_file(self.path.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError("llama.cpp did not load the model")
        seconds = time.perf_counter() - started
        self.words = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        return {"load_s": seconds, "system": llama_cpp.llama_print_system_info().decode().strip()}

    def context(self, sequences, tokens):
        """Its default settings, with room for so many sequences of so many tokens; kept."""
        key = (sequences, tokens)
        if key not in self.contexts:
            parameters = self.library.llama_context_default_params()
            parameters.n_ctx = sequences * -(-tokens // 256) * 256
            parameters.n_batch = parameters.n_ubatch = 512
            parameters.n_seq_max = sequences
            context = self.library.llama_init_from_model(self.model, parameters)
            if not context:
                raise RuntimeError("llama.cpp made no context")
            self.contexts[key] = context
        return self.contexts[key]

    def batch(self, sequences, first, tokens, rng):
        """Random tokens: `tokens` of each sequence from position `first` on, logits behind the last of each."""
        made = self.library.llama_batch_init(sequences * tokens, 0, 1)
        made.n_tokens = sequences * tokens
        row = 0
        for sequence in range(sequences):
            for place, token in enumerate(rng.integers(300, self.words, tokens)):
                made.token[row], made.pos[row] = int(token), first + place
                made.n_seq_id[row], made.seq_id[row][0] = 1, sequence
                made.logits[row] = place == tokens - 1
                row += 1
        return made

    def decode(self, context, batch):
        if self.library.llama_decode(context, batch) != 0:
            raise RuntimeError("llama_decode failed")

    def timed(self, context, batches):
        wall, cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            self.decode(context, batch)
            self.library.llama_synchronize(context)
        answer = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        answer["tokens"] = sum(batch.n_tokens for batch in batches)
        for batch in batches:
            self.library.llama_batch_free(batch)
        return answer

    def prefill(self, command):
        rng, tokens = numpy.random.default_rng(command.get("seed", 0)), command["tokens"]
        context = self.context(1, tokens)
        self.library.llama_set_n_threads(context, command["threads"], command["threads"])
        self.clear(context)
        return self.timed(context, [self.batch(1, 0, tokens, rng)])

    def clear(self, context):
        self.library.llama_memory_clear(self.library.llama_get_memory(context), False)

    def generate(self, command):
        rng = numpy.random.default_rng(command.get("seed", 0))
        sequences, before, steps = command["sequences"], command["tokens"], command["steps"]
        context = self.context(sequences, before + steps)
        self.library.llama_set_n_threads(context, command["threads"], command["threads"])
        self.clear(context)
        for sequence in range(sequences):
            batch = self.batch(1, 0, before, rng)
            for row in range(before):
                batch.seq_id[row][0] = sequence
            self.decode(context, batch)
            self.library.llama_batch_free(batch)
        self.library.llama_synchronize(context)
        return self.timed(context, [self.batch(sequences, before + step, 1, rng) for step in range(steps)])

    def memory(self, command):
        return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main():
    # The library prints to standard output; the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = LlamaCpp(sys.argv[1])
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(peer, command["do"])(command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
