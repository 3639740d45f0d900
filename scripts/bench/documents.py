"""The documents of the bench: English prose, the same at every run.

    python documents.py MODEL_DIR OUT_DIR

The text is the prose of the docstrings of Python packages whose exact versions scripts/bench/requirements/base.txt
names. Each set is a file, OUT_DIR/SET.json: texts, and the ids that Hugging Face's `tokenizers` gives them. OUT_DIR/digest
is the SHA-256 of them all.

accuracy    2,000 documents of 113 tokens on average, log-normal, 8 to 256
main        the first 500 of them
short       500 of 16 to 32 tokens
long        128 of 250 to 256 tokens
length-N    8,192 tokens in documents of N tokens, N from 16 to 512
"""
import ast
import hashlib
import json
import math
import pathlib
import random
import re
import sys

import networkx
import numpy
import scipy
import sklearn
import sympy
import tokenizers

PACKAGES = [networkx, numpy, scipy, sklearn, sympy]
MEAN_TOKENS, SIGMA, LEAST_TOKENS, MOST_TOKENS = 113, 0.6, 8, 256
LENGTHS = [16, 32, 64, 128, 256, 512]
TOKENS_OF_A_LENGTH = 8192
MARKS_OF_CODE = [">>>", "..", "::", "``", "|", "==", ":math:", "{", "\\", "[", "http", "*", "_", "<"]


def is_prose(paragraph):
    if not 60 <= len(paragraph) <= 1500 or paragraph[-1] not in ".!?" or not paragraph[0].isupper():
        return False
    if any(mark in paragraph for mark in MARKS_OF_CODE):
        return False
    return sum(c.isalpha() or c == " " for c in paragraph) > 0.93 * len(paragraph)


def paragraphs():
    """Every paragraph of prose once, in the order of packages, files and lines."""
    seen = {}
    for package in PACKAGES:
        for path in sorted(pathlib.Path(package.__file__).parent.rglob("*.py")):
            if "tests" in path.parts:
                continue
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue
            for node in ast.walk(tree):
                if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                    continue
                for text in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                    text = " ".join(text.split())
                    if text and is_prose(text):
                        seen[text] = None
    return list(seen)


class Writer:
    """Takes words off one long text and makes documents of so many tokens."""

    def __init__(self, words, tokenizer, start):
        self.words, self.tokenizer, self.at = words, tokenizer, start

    def document(self, tokens):
        """The longest run of the next words that has at most `tokens` tokens, and its ids."""
        low, high = 1, tokens
        while low < high:
            middle = (low + high + 1) // 2
            if len(self.ids(middle)) <= tokens:
                low = middle
            else:
                high = middle - 1
        text, ids = self.text(low), self.ids(low)
        self.at = (self.at + low) % (len(self.words) - 600)
        # A single word of more tokens than were asked for is passed over.
        return (text, ids) if len(ids) <= tokens else self.document(tokens)

    def text(self, count):
        return " ".join(self.words[self.at : self.at + count])

    def ids(self, count):
        return self.tokenizer.encode(self.text(count)).ids

    def documents(self, lengths):
        made = [self.document(tokens) for tokens in lengths]
        return {"texts": [text for text, _ in made], "ids": [ids for _, ids in made]}


def lognormal_lengths(count, rng):
    """Log-normal lengths, cut to the range, whose mean after the cut is MEAN_TOKENS."""
    normal = [rng.gauss(0, SIGMA) for _ in range(count)]

    def lengths(mu):
        return [min(max(round(math.exp(mu + x)), LEAST_TOKENS), MOST_TOKENS) for x in normal]

    low, high = 3.0, 6.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(lengths(middle)) < MEAN_TOKENS * count else (low, middle)
    return lengths(high)


def main():
    model_dir, out = map(pathlib.Path, sys.argv[1:3])
    tokenizer = tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    # The file asks for truncation at 128 and padding to 128; what is compared reads up to 256 and 512, unpadded.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    rng = random.Random(5)
    texts = paragraphs()
    rng.shuffle(texts)
    writer = Writer(" ".join(texts).split(), tokenizer, start=0)
    # In two parts, so that the first 500 have the mean too.
    sets = {"accuracy": writer.documents(lognormal_lengths(500, rng) + lognormal_lengths(1500, rng))}
    sets["main"] = {name: values[:500] for name, values in sets["accuracy"].items()}
    sets["short"] = writer.documents([rng.randint(16, 32) for _ in range(500)])
    sets["long"] = writer.documents([MOST_TOKENS] * 128)
    for length in LENGTHS:
        sets[f"length-{length}"] = writer.documents([length] * (TOKENS_OF_A_LENGTH // length))
    out.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for name, values in sorted(sets.items()):
        body = json.dumps(values, ensure_ascii=False).encode()
        digest.update(body)
        (out / f"{name}.json").write_bytes(body)
    (out / "digest").write_text(digest.hexdigest())
    for name, values in sets.items():
        counts = [len(ids) for ids in values["ids"]]
        print(f"{name:12} {len(counts):5} documents, {sum(counts) / len(counts):6.1f} tokens each, at most {max(counts)}")


if __name__ == "__main__":
    main()
