#!/usr/bin/env python3
"""Adds to Tests/Vectors/tokenizers what llama.cpp makes of the texts of token_ids.py by the tokenizers that GGUF files
carry (decoder_gguf.py), under each of the ways to part words that are supported: llamacpp-digests.txt.

    python gguf_tokens.py ../../Tests/Vectors/tokenizers

Qwen's texts are given to llama.cpp in normal form C, into which it does not put them itself; how many that changes is
printed. It is an error when Hugging Face's `tokenizers`, of the same vocabulary, gives other ids.
"""
import json
import pathlib
import sys
import tempfile
import unicodedata

import llama_cpp
from tokenizers import Tokenizer

from decoder_gguf import metadata, sayable, with_special
from decoder_tokens import LLAMA3
from token_ids import BLOCK, MASK, Random, text

COUNT = 2_000


def changed(file, pre):
    """tokenizer.json as models of another way to part words have it."""
    split = file["pre_tokenizer"]["pretokenizers"]
    if pre == "qwen2":
        split[0]["pattern"]["Regex"] = LLAMA3 % r"\p{N}"
        file["normalizer"] = {"type": "NFC"}
    if pre in ["smollm", "gpt-2"]:
        split[0] = {"type": "Digits", "individual_digits": True}
        split[1]["use_regex"] = True
    if pre == "gpt-2":
        del split[0]
    file["model"]["ignore_merges"] = pre == "llama-bpe"
    return file


class Peer:
    def __init__(self, path):
        settings = llama_cpp.llama_model_default_params()
        settings.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)

    def ids(self, text):
        data = text.encode()
        room = (llama_cpp.llama_token * (len(data) + 16))()
        count = llama_cpp.llama_tokenize(self.vocabulary, data, len(data), room, len(room), True, True)
        return list(room[:count])


def digest(lists):
    out, hash = [], 0xCBF29CE484222325
    for number, ids in enumerate(lists, 1):
        for value in [len(ids), *ids]:
            hash = ((hash ^ value) * 0x100000001B3) & MASK
        if number % BLOCK == 0:
            out.append(f"{hash:016x}")
            hash = 0xCBF29CE484222325
    return out


def main():
    folder = pathlib.Path(sys.argv[1])
    random = Random(20260402)
    drawn = [text(random) for _ in range(COUNT)]
    llama_cpp.llama_backend_init()
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, None)
    lines = []
    for name, pre in [("llama2", None), *(("llama3", pre) for pre in ["llama-bpe", "qwen2", "smollm", "gpt-2"])]:
        file = sayable(folder / f"{name}.json")
        if pre:
            file = changed(file, pre)
        texts = with_special(drawn, name)
        with tempfile.TemporaryDirectory() as temporary:
            path = pathlib.Path(temporary) / "model.gguf"
            metadata(path, name, file, pre)
            peer = Peer(path)
        composed = [unicodedata.normalize("NFC", text) if pre == "qwen2" else text for text in texts]
        ids = [peer.ids(text) for text in composed]
        exact = [encoding.ids for encoding in Tokenizer.from_str(json.dumps(file)).encode_batch(texts)]
        for index in range(COUNT):
            if exact[index] != ids[index]:
                raise SystemExit(f"{pre or name}: other ids for {texts[index]!r}: {exact[index]}, {ids[index]}")
        others = sum(peer.ids(text) != ids[index] for index, text in enumerate(texts) if composed[index] != text)
        print(f"{pre or name}: {COUNT} texts; {others} by their normal form C alone")
        lines.append(f"{pre or name} " + " ".join(digest(ids)))
    (folder / "llamacpp-digests.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
