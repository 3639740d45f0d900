#!/usr/bin/env python3
"""Makes Tests/Vectors/tokenizers: three small tokenizers, trained here, and digests of the ids that Hugging Face's
`tokenizers` gives to 20,000 texts. The texts are drawn from a seed, here and in Tests/InferenceTests/TokenTexts.swift.

    python token_ids.py ../../Tests/Vectors/tokenizers
"""
import io
import itertools
import json
import pathlib
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

import corpus

COUNT, BLOCK, SWITCHED = 20_000, 20, 2_000
MASK = (1 << 64) - 1
TOKENS = ["<w>", "<l>", "<r>", "<n>", "<mask>"]
# Whole words, blanks, and what sits at the borders of the rules.
PIECES = sorted({word for text in corpus.SENTENCES for word in text.split(" ")}) + TOKENS + [
    " ", " ", " ", " ", "  ", "   ", "\n", "\t", "\r\n", "\r", "\u3000", "\u00a0", " \n ", "\u200b", "\ufeff", "\u2581",
    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'T", "don't", "12", "3.14", "a1b2", "_", "-", "!?", "...", "##ing",
    "e\u0301", "E\u0301\u0323", "a\u0345\u0301\u0334", "\u302e\u302f", "\uac00", "\u1100\u1161\u11a8", "\u11a8\u0301",
    "\u0600", "\u06dd", "\u070fa\u0301", "\u08e2", "\u00a9\u200d", "\u00ae\u200d\u00a9\u0301", "\u0915\u094d\u0958\u0301",
    "\ufb01", "\ufdfa", "\u00bd", "\uff21", "\uff76\uff9e", "\u212b", "\u0130", "\u01c5", "\u1e9e", "\u03a3",
    "\U0001f469\u200d\U0001f467", "\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "\U000e0001", "\U000e0020", "\u0301", "\0",
]


class Random:
    """SplitMix64, as in Tests/InferenceTests/SeededGenerator.swift."""

    def __init__(self, state):
        self.state = state

    def below(self, count):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return (z ^ z >> 31) % count


def scalar(random, low, count):
    c = low + random.below(count)
    return chr(0xFFFD if 0xD800 <= c <= 0xDFFF else c)


def text(random):
    out = []
    for _ in range(1 + random.below(12)):
        kind = random.below(20)
        if kind < 13:
            out.append(PIECES[random.below(len(PIECES))])
        elif kind < 16:
            out.append(" ")
        elif kind == 16:
            out.append(scalar(random, 0, 0x110000))
        elif kind == 17:
            out.append(scalar(random, 0, 0x3000))
        elif kind == 18:
            out.append(scalar(random, 0x300, 0x70))
        else:
            piece = PIECES[random.below(len(PIECES))]
            out.append(piece * (1 + random.below(200 if random.below(20) == 0 else 4)))
    return "".join(out)


def digests(tokenizer, texts, pairs=False):
    """FNV-1a over the ids and segments of each block of texts."""
    inputs = list(zip(texts, texts[1:] + texts[:1])) if pairs else texts
    out, hash = [], 0xCBF29CE484222325
    for number, encoding in enumerate(tokenizer.encode_batch(inputs), 1):
        for value in [len(encoding.ids)] + [i | s << 24 for i, s in zip(encoding.ids, encoding.type_ids)]:
            hash = ((hash ^ value) * 0x100000001B3) & MASK
        if number % BLOCK == 0:
            out.append(f"{hash:016x}")
            hash = 0xCBF29CE484222325
    return out


def with_added(tokenizer):
    tokenizer.add_tokens([
        AddedToken("<w>", single_word=True, normalized=False), AddedToken("<l>", lstrip=True, normalized=True),
        AddedToken("<r>", rstrip=True, normalized=False), AddedToken("<n>", normalized=True),
    ])
    return tokenizer


def word_piece(sample):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(sample, trainers.WordPieceTrainer(
        vocab_size=1500, limit_alphabet=400, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return with_added(tokenizer)


def byte_pair(sample):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(sample, trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"]))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return with_added(tokenizer)


def unigram(sample):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.replace("\n", " ") for text in sample if "\0" not in text), model_writer=out,
        vocab_size=3000, normalization_rule_name="nmt_nfkc", character_coverage=0.98, hard_vocab_limit=False,
        minloglevel=2)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    # The rarest characters are left out, so that some are unknown.
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces[3:1800]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 3, False))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap), normalizers.Strip(left=False),
        normalizers.Replace(Regex(" {2,}"), "\u2581")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)])
    return with_added(tokenizer)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(20260402)
    texts = [text(random) for _ in range(COUNT)]
    lines = []
    for name, make in [("wordpiece", word_piece), ("bytepair", byte_pair), ("unigram", unigram)]:
        tokenizer = make(corpus.texts())
        (folder / f"{name}.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False), "utf-8")
        lines.append(f"{name} " + " ".join(digests(tokenizer, texts)))
        for side in ["right", "left"]:
            tokenizer.enable_truncation(24, direction=side)
            lines.append(f"{name}-pairs-{side} " + " ".join(digests(tokenizer, texts[:SWITCHED], pairs=True)))
    plain = json.loads((folder / "wordpiece.json").read_text("utf-8"))
    for clean, chinese, strip, lower in itertools.product([True, False], [True, False], [None, True, False], [True, False]):
        plain["normalizer"].update(clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower)
        name = "wordpiece-" + "-".join(json.dumps(switch) for switch in (clean, chinese, strip, lower))
        lines.append(f"{name} " + " ".join(digests(Tokenizer.from_str(json.dumps(plain)), texts[:SWITCHED])))
    spaced = json.loads((folder / "bytepair.json").read_text("utf-8"))
    spaced["pre_tokenizer"]["add_prefix_space"] = True
    lines.append("bytepair-spaced " + " ".join(digests(Tokenizer.from_str(json.dumps(spaced)), texts[:SWITCHED])))
    (folder / "digests.txt").write_text("\n".join(lines) + "\n")
    (folder / "pieces.json").write_text(json.dumps(PIECES), "utf-8")


if __name__ == "__main__":
    main()
