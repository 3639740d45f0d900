"""One peer as a process that answers commands, one JSON object a line, on its standard streams.

    python peers.py PEER PRECISION --model MODEL_DIR --work WORK_DIR --threads N

    {"do": "load", "streams": 1}      → {"load_s", "first_s"}: from a loaded library to a loaded model; to the first embedding
    {"do": "run", SLICE, "batch": 8, "streams": 1}
                                      → {"wall_s", "cpu_s", "documents", "tokens"}
    {"do": "one", SLICE}              → {"seconds": [...]}, documents one at a time
    {"do": "vectors", SLICE, "batch", "streams", "path"}: writes the embeddings, float32, in the documents' order
    {"do": "memory"}                  → {"peak_bytes"}
    {"do": "products", "repeat_count": n} → the matrix products alone (PyTorch, whose are oneDNN's; products.py)

SLICE is "set", "first", "step", "count". Batches are sorted by length and padded before the clock starts; `streams` is
how many batches are in work at once, the threads shared among them. Tests/Benchmarks/Embed answers the same commands.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import resource
import sys
import time

import numpy


def pad(batch):
    """(ids, mask) of the batch, int64."""
    width = max(map(len, batch))
    ids = numpy.zeros((len(batch), width), numpy.int64)
    mask = numpy.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def mean_pool(hidden, mask):
    """The normalised mean of each document's own rows."""
    weight = mask[:, :, None].astype(numpy.float32)
    mean = (hidden * weight).sum(1) / weight.sum(1)
    return mean / numpy.linalg.norm(mean, axis=1, keepdims=True)


class Peer:
    """`load` makes the model ready, `prepare` a batch's input, `embed` gives (documents, hidden)."""

    def __init__(self, args):
        self.precision, self.threads = args.precision, args.threads
        self.model, self.work = args.model, args.work
        self.pool = concurrent.futures.ThreadPoolExecutor(8)

    def load(self, streams):
        raise NotImplementedError

    def prepare(self, batch):
        return pad(batch)

    def embed_all(self, prepared, streams):
        if streams == 1:
            return [self.embed(batch) for batch in prepared]
        return list(self.pool.map(self.embed, prepared))


class PyTorch(Peer):
    def load(self, streams):
        import torch

        from convert import pooled_torch_model

        torch.set_num_threads(self.threads)
        self.torch = torch
        self.network = pooled_torch_model(self.model)
        if self.precision == "bf16":
            self.network = self.network.to(torch.bfloat16)

    def prepare(self, batch):
        return tuple(map(self.torch.from_numpy, pad(batch)))

    def embed(self, batch):
        with self.torch.inference_mode():
            return self.network(*batch).float().numpy()


class ONNXRuntime(Peer):
    def load(self, streams):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, self.threads // streams)
        options.inter_op_num_threads = 1
        path = self.work / f"onnx-{self.precision}" / "model.onnx"
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.type = numpy.int32 if "int32" in self.session.get_inputs()[0].type else numpy.int64

    def prepare(self, batch):
        ids, mask = (values.astype(self.type) for values in pad(batch))
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        return {name: feed[name] for name in self.inputs}, mask

    def embed(self, batch):
        feed, mask = batch
        return mean_pool(self.session.run(None, feed)[0], mask)


class OpenVINO(Peer):
    def load(self, streams):
        import openvino

        core = openvino.Core()
        path = self.work / f"openvino-{'int8' if self.precision == 'int8' else 'fp32'}" / "model.xml"
        # int8: what is not quantised runs in bf16, which is OpenVINO's own choice where the processor has it.
        precision = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}[self.precision]
        # Under AVX2 it knows no bf16, and computes in fp32 instead.
        if os.environ.get("ONEDNN_MAX_CPU_ISA"):
            precision = "f32"
        self.compiled = core.compile_model(core.read_model(str(path)), "CPU", {
            "INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": streams,
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT"})
        self.request = self.compiled.create_infer_request()
        self.queue = openvino.AsyncInferQueue(self.compiled, streams) if streams > 1 else None

    def prepare(self, batch):
        ids, mask = pad(batch)
        return {"input_ids": ids, "attention_mask": mask}

    def embed(self, batch):
        return self.request.infer(batch, share_inputs=True)[0]

    def embed_all(self, prepared, streams):
        if streams == 1:
            return [self.embed(batch) for batch in prepared]
        out = [None] * len(prepared)

        def take(request, place):
            out[place] = request.get_output_tensor(0).data.copy()

        self.queue.set_callback(take)
        for place, batch in enumerate(prepared):
            self.queue.start_async(batch, place, share_inputs=True)
        self.queue.wait_all()
        return out


class CTranslate2(Peer):
    def load(self, streams):
        # Its oneDNN backend: MKL takes its slow path on processors that are not Intel's.
        os.environ["CT2_USE_MKL"] = "0"
        import ctranslate2

        self.library = ctranslate2
        self.encoder = ctranslate2.Encoder(
            str(self.work / "ctranslate2" / "model"), device="cpu", inter_threads=streams,
            intra_threads=max(1, self.threads // streams),
            compute_type={"fp32": "float32", "int8": "int8"}[self.precision])

    def prepare(self, batch):
        ids, mask = pad(batch)
        lengths = mask.sum(1).astype(numpy.int32)
        view = self.library.StorageView.from_array
        return view(ids.astype(numpy.int32)), view(lengths), mask

    def embed(self, batch):
        ids, lengths, mask = batch
        return mean_pool(numpy.array(self.encoder.forward_batch(ids, lengths).last_hidden_state), mask)


class LlamaCpp(Peer):
    """All documents of a batch are sequences of one micro-batch."""

    def load(self, streams):
        import llama_cpp

        self.library = llama_cpp
        llama_cpp.llama_backend_init()
        path = self.work / f"gguf-{self.precision}" / "model.gguf"
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.network = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.network:
            raise RuntimeError("llama.cpp did not load the model")
        self.width = llama_cpp.llama_model_n_embd(self.network)
        self.context, self.capacity = None, (0, 0)

    def reserve(self, sequences, tokens):
        """A context for batches of so many sequences and tokens; made anew when a larger one is needed."""
        if self.context and sequences <= self.capacity[0] and tokens <= self.capacity[1]:
            return
        library = self.library
        if self.context:
            library.llama_free(self.context)
        parameters = library.llama_context_default_params()
        parameters.n_ctx = tokens
        parameters.n_batch = parameters.n_ubatch = tokens
        parameters.n_seq_max = sequences
        parameters.n_threads = parameters.n_threads_batch = self.threads
        parameters.embeddings = True
        self.context = library.llama_init_from_model(self.network, parameters)
        if not self.context:
            raise RuntimeError("llama.cpp made no context")
        self.capacity = (sequences, tokens)

    def prepare(self, batch):
        total = sum(map(len, batch))
        # The same room for each sequence, which llama.cpp's own reservation of its graph assumes.
        room = -(-max(total // len(batch) + 1, 32) // 64) * 64
        self.reserve(len(batch), room * len(batch))
        made = self.library.llama_batch_init(total, 0, 1)
        made.n_tokens = total
        row = 0
        for sequence, ids in enumerate(batch):
            for position, token in enumerate(ids):
                made.token[row], made.pos[row] = token, position
                made.n_seq_id[row], made.seq_id[row][0], made.logits[row] = 1, sequence, 1
                row += 1
        return made, len(batch)

    def embed(self, batch):
        made, sequences = batch
        library = self.library
        if library.llama_encode(self.context, made) != 0:
            raise RuntimeError("llama_encode failed")
        rows = [
            numpy.ctypeslib.as_array(library.llama_get_embeddings_seq(self.context, sequence), (self.width,))
            for sequence in range(sequences)]
        out = numpy.stack(rows)
        return out / numpy.linalg.norm(out, axis=1, keepdims=True)


PEERS = {
    "pytorch": PyTorch, "onnxruntime": ONNXRuntime, "openvino": OpenVINO, "ctranslate2": CTranslate2,
    "llamacpp": LlamaCpp,
}


class Server:
    """Answers commands with one peer."""

    def __init__(self, peer):
        self.peer, self.sets, self.streams, self.prepared = peer, {}, None, {}

    def ids(self, name):
        """The token ids of a set; a set is read when it is first asked for, since memory is measured too."""
        if name not in self.sets:
            path = self.peer.work / "documents" / f"{name}.json"
            self.sets[name] = [
                numpy.array(ids, numpy.int32) for ids in json.loads(path.read_text(encoding="utf-8"))["ids"]]
        return self.sets[name]

    def load(self, command):
        started = time.perf_counter()
        self.peer.load(command.get("streams", 1))
        loaded = time.perf_counter()
        self.peer.embed(self.peer.prepare([[101, 1996, 2034, 6254, 1012, 102]]))
        self.streams, self.prepared = command.get("streams", 1), {}
        return {"load_s": loaded - started, "first_s": time.perf_counter() - started}

    def documents(self, command):
        ids = self.ids(command["set"])[command.get("first", 0) :: command.get("step", 1)]
        return ids[: command.get("count") or len(ids)]

    def batches(self, command):
        """Places and prepared input of each batch, longest documents first."""
        if command.get("streams", 1) != self.streams:
            self.load(command)
        key = tuple(command.get(name) for name in ("set", "first", "step", "count", "batch"))
        if key not in self.prepared:
            ids = self.documents(command)
            order = sorted(range(len(ids)), key=lambda place: -len(ids[place]))
            size = command["batch"]
            places = [order[start : start + size] for start in range(0, len(order), size)]
            self.prepared[key] = (
                places, [self.peer.prepare([ids[place] for place in batch]) for batch in places],
                len(ids), sum(map(len, ids)))
        return self.prepared[key]

    def run(self, command):
        _, prepared, documents, tokens = self.batches(command)
        wall, cpu = time.perf_counter(), time.process_time()
        self.peer.embed_all(prepared, self.streams)
        return {
            "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "documents": documents,
            "tokens": tokens}

    def one(self, command):
        prepared = [self.peer.prepare([ids]) for ids in self.documents(command)]
        seconds = []
        for batch in prepared:
            started = time.perf_counter()
            self.peer.embed(batch)
            seconds.append(time.perf_counter() - started)
        return {"seconds": seconds}

    def vectors(self, command):
        places, prepared, documents, _ = self.batches(command)
        out = numpy.zeros((documents, 384), numpy.float32)
        for rows, values in zip(places, self.peer.embed_all(prepared, self.streams)):
            out[rows] = values
        out.tofile(command["path"])
        return {}

    def memory(self, command):
        return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}

    def products(self, command):
        from products import measure

        return measure(self.peer.precision, command["repeat_count"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("precision")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    # Libraries print to standard output; the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(PEERS[args.peer](args))
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(server, command["do"])(command)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
