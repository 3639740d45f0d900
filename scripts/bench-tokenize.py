#!/usr/bin/env python3
"""Our tokenizers and Hugging Face's in turns over the same English documents, one thread each, by the thread's clock.

    bench-tokenize.py PROGRAM MODEL_FOLDER ROUNDS
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).parent / "golden"))
import corpus  # noqa: E402


def documents():
    rng = random.Random(5)
    out = []
    for _ in range(2000):
        parts = []
        while sum(map(len, parts)) < 480:
            parts.append(rng.choice(corpus.SENTENCES[:3]) if rng.random() < 0.3 else corpus.memo(rng))
        out.append(" ".join(parts))
    return out


def main():
    program, model, rounds = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    vectors = pathlib.Path("Tests/Vectors/tokenizers")
    texts = documents()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(texts, file)
        file.flush()
        print("| model | tokens | ours, M tokens/s | tokenizers, M tokens/s | ratio |\n|---|---|---|---|---|")
        for name, path in [("WordPiece, all-MiniLM-L6-v2", model / "tokenizer.json"),
                           ("byte-level BPE, 1,500 tokens", vectors / "bytepair.json"),
                           ("Unigram, 1,800 tokens, nmt_nfkc", vectors / "unigram.json")]:
            theirs = Tokenizer.from_file(str(path))
            theirs.no_padding()
            theirs.no_truncation()
            ours = subprocess.Popen([program, path, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            speeds = ([], [])
            for round in range(rounds + 1):
                ours.stdin.write("\n")
                ours.stdin.flush()
                tokens, seconds = ours.stdout.readline().split()
                start = time.thread_time()
                count = sum(len(encoding.ids) for encoding in theirs.encode_batch(texts))
                theirs_seconds = time.thread_time() - start
                assert count == int(tokens), (count, tokens)
                if round > 0:  # the first warms up
                    speeds[0].append(count / float(seconds) / 1e6)
                    speeds[1].append(count / theirs_seconds / 1e6)
            ours.stdin.close()
            ours.wait()
            mine, other = map(statistics.median, speeds)
            print(f"| {name} | {count:,} | {mine:.1f} | {other:.2f} | {mine / other:.1f} |")


main()
