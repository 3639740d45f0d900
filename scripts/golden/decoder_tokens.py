#!/usr/bin/env python3
"""Adds to Tests/Vectors/tokenizers: tokenizers as decoders have them, small and trained here, and digests of the ids that
Hugging Face's `tokenizers` gives to the texts of token_ids.py, and of the texts that it makes of these ids again.

    python decoder_tokens.py ../../Tests/Vectors/tokenizers
"""
import io
import json
import pathlib
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import corpus
from token_ids import BLOCK, MASK, Random, digests, text, with_added

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
MANY, FEW = 6_000, 2_000


def sentencepieces(sample):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.replace("\n", " ") for text in sample if "\0" not in text), model_writer=out,
        model_type="bpe", vocab_size=4400, normalization_rule_name="identity", character_coverage=0.98,
        byte_fallback=True, remove_extra_whitespaces=False, minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    # The rarest characters are left out, so that some are made of bytes.
    pieces = [piece for piece in model.pieces if piece.type != 1 or len(piece.piece) > 1]
    letters = [piece for piece in model.pieces if piece.type == 1 and len(piece.piece) == 1]
    return pieces + letters[:400]


def llama2(sample):
    """As transformers converts a SentencePiece model: a merge for each way to part a piece into two."""
    pieces = sentencepieces(sample)
    ids = {piece.piece: index for index, piece in enumerate(pieces)}
    merges = []
    for piece in pieces:
        if piece.type != 1:
            continue
        parts = [(piece.piece[:i], piece.piece[i:]) for i in range(1, len(piece.piece))]
        parts = sorted((p for p in parts if p[0] in ids and p[1] in ids), key=lambda p: (ids[p[0]], ids[p[1]]))
        merges += [(left, right, piece.score) for left, right in parts]
    merges.sort(key=lambda m: (m[2], len(m[0]), len(m[1])), reverse=True)
    tokenizer = Tokenizer(models.BPE(
        ids, [(left, right) for left, right, _ in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in ["<unk>", "<s>", "</s>"]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return with_added(tokenizer)


def llama3(sample):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3 % r"\p{N}{1,3}"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(sample, trainers.BpeTrainer(
        vocab_size=1200, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|eot_id|>"])
    first = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
            special_tokens=[("<|begin_of_text|>", first)])])
    return with_added(tokenizer)


def saved(tokenizer):
    return json.loads(tokenizer.to_str())


def decoded(tokenizer, texts):
    """FNV-1a over the bytes of what becomes of each block of texts when they are tokenized and put together again."""
    out, hash = [], 0xCBF29CE484222325
    for number, encoding in enumerate(tokenizer.encode_batch(texts), 1):
        for byte in tokenizer.decode(encoding.ids, skip_special_tokens=True).encode() + b"\0":
            hash = ((hash ^ byte) * 0x100000001B3) & MASK
        if number % BLOCK == 0:
            out.append(f"{hash:016x}")
            hash = 0xCBF29CE484222325
    return out


def main():
    folder = pathlib.Path(sys.argv[1])
    random = Random(20260402)
    texts = [text(random) for _ in range(MANY)]
    first, second = saved(llama2(corpus.texts())), saved(llama3(corpus.texts()))
    for name, file in [("llama2", first), ("llama3", second)]:
        (folder / f"{name}.json").write_text(json.dumps(file, ensure_ascii=False), "utf-8")
    lines = []

    def add(name, file, count):
        tokenizer = Tokenizer.from_str(json.dumps(file))
        lines.append(f"{name} " + " ".join(digests(tokenizer, texts[:count])))
        lines.append(f"{name}-decoded " + " ".join(decoded(tokenizer, texts[:count])))

    add("llama2", first, MANY)
    add("llama3", second, MANY)
    # The tests change the files in the same way.
    first["normalizer"] = None
    first["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": False}
    add("llama2-metaspace", first, FEW)
    split = second["pre_tokenizer"]["pretokenizers"]
    split[0]["pattern"]["Regex"] = LLAMA3 % r"\p{N}"
    second["normalizer"] = {"type": "NFC"}
    add("qwen2", second, MANY)
    second["normalizer"] = None
    second["model"]["ignore_merges"] = False
    split[0] = {"type": "Digits", "individual_digits": True}
    split[1]["use_regex"] = True
    add("smollm", second, FEW)
    (folder / "decoder-digests.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
