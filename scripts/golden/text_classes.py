#!/usr/bin/env python3
"""Writes Sources/Inference/Tokenizer/TextClassTables.swift.

Which scalars count as letters, numbers, white space and parts of words, and how grapheme clusters end, as the Hugging
Face `tokenizers` package sees it: asked of the package itself, scalar by scalar, since its crates carry tables of
several Unicode versions.

    python text_classes.py > ../../Sources/Inference/Tokenizer/TextClassTables.swift
"""
import struct

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from unicode_tables import SCALARS, range_table

ACUTE, DIAERESIS, JOINER, COPYRIGHT = "\u0301", "\u0308", "\u200d", "\u00a9"


def charsmap(keys):
    """A compiled map of SentencePiece's kind: each key becomes `#`."""
    blocks, tree = [{}], {}
    for key in keys:
        node = tree
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = True
    units = {}

    def place(node, position, label):
        block = len(blocks)
        blocks.append(node)
        units[position] = (position ^ block * 256) << 10 | (0x100 if None in node else 0) | label
        if None in node:
            units[block * 256] = 1 << 31
        for byte, child in node.items():
            if byte is not None:
                place(child, block * 256 ^ byte, byte)

    place(tree, 0, 0)
    trie = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(len(blocks) * 256))
    return struct.pack("<I", len(trie)) + trie + b"#\0"


def joins(before, key, behind=ACUTE):
    """Says of a scalar whether `key`, after `before` (in which @ is the scalar), goes on with the cluster before it.

    A cluster of at most five bytes whose beginning is in the map is replaced whole. So the mark behind the key is lost
    with the key exactly when the two are a cluster of their own."""
    normalize = normalizers.Precompiled(charsmap([key])).normalize_str
    return lambda c: normalize(before.replace("@", c) + key + behind).endswith("#" + behind)


def chosen(test, among=SCALARS):
    return [c for c in among if test(chr(c))]


def graphemes():
    at_a = normalizers.Precompiled(charsmap(["a"])).normalize_str
    prepend = chosen(joins("@", "a"))
    rest = sorted(set(SCALARS) - set(prepend))
    joining = set(chosen(lambda c: c != "#" and at_a("a" + c) == "#"))
    mark = joins("@", ACUTE, DIAERESIS)
    control = [c for c in rest if not mark(chr(c))]
    extend = chosen(joins(COPYRIGHT + "@" + JOINER, COPYRIGHT), sorted(joining))
    spacing = sorted(joining - set(extend) - {ord(JOINER)})
    plain = sorted(set(rest) - joining - set(control))
    pictographic = chosen(joins("@" + JOINER, COPYRIGHT), plain)
    leads = chosen(joins("@", "\u1100"), plain)
    before_vowel = set(chosen(joins("@", "\u1161"), plain)) - set(leads)
    before_tail = set(chosen(joins("@", "\u11a8"), plain)) - before_vowel
    syllables = range(0xAC00, 0xD7A4)
    vowels = sorted(before_vowel - set(syllables))
    tails = sorted(before_tail - set(syllables))
    assert all((c in before_vowel) == ((c - 0xAC00) % 28 == 0) for c in syllables)
    consonants = chosen(joins("@\u094d", "\u0915"), plain)
    linkers = chosen(joins("\u0915@", "\u0915"), sorted(joining))
    between = chosen(joins("\u0915@\u094d", "\u0915"), sorted(joining))
    return [
        ("control", "Ends a grapheme cluster before and behind it.", control),
        ("prepend", "Goes on into the next scalar's cluster.", prepend),
        ("extend", "Belongs to the cluster before it.", extend),
        ("spacingMark", "Belongs to the cluster before it, and ends an emoji's sequence.", spacing),
        ("pictographic", "May be joined to another by U+200D.", pictographic),
        ("hangulLead", "Hangul consonants before a vowel.", leads),
        ("hangulVowel", "Hangul vowels.", vowels),
        ("hangulTail", "Hangul consonants behind a vowel.", tails),
        ("indicConsonant", "May be joined to another by a linker.", consonants),
        ("indicLinker", "Joins two consonants.", linkers),
        ("indicExtend", "May stand between consonant and linker; linkers too.", between),
    ]


def classes():
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True).pre_tokenize_str
    letters, numbers, spaces = [], [], []
    for c in SCALARS:
        char = chr(c)
        if len(split("a" + char)) == 1:
            letters.append(c)
        elif len(split("1" + char)) == 1:
            numbers.append(c)
        elif len(split("!" + char)) != 1:
            spaces.append(c)

    def tokenizer(**flags):
        made = Tokenizer(models.WordLevel({"?": 0, "<T>": 1}, unk_token="?"))
        made.add_tokens([AddedToken("<T>", normalized=False, **flags)])
        return made

    single = tokenizer(single_word=True)
    words = [c for c in SCALARS if 1 not in single.encode(chr(c) + "<T>").ids]
    strip = tokenizer(rstrip=True)
    stripped = [c for c in SCALARS if strip.encode("<T>" + chr(c)).ids == [1]]
    trim = normalizers.Strip().normalize_str
    trimmed = [c for c in SCALARS if trim(chr(c)) == ""]
    whitespace = pre_tokenizers.WhitespaceSplit().pre_tokenize_str
    parted = [c for c in SCALARS if len(whitespace("a" + chr(c) + "a")) == 2]
    bert = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    blank = [c for c in SCALARS if [piece for piece, _ in bert("a" + chr(c) + "a")] == ["a", "a"]]
    assert blank == spaces == stripped == trimmed == parted  # UnicodeTables.whitespace is all of these
    return [
        ("letters", "`\\\\p{L}` of the byte-level pattern.", letters),
        ("numbers", "`\\\\p{N}` of the byte-level pattern.", numbers),
        ("wordParts", "`\\\\w`: such a scalar beside an added token that is to be a single word forbids it.", words),
    ]


def compositions():
    nfc, nfd = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str
    kept = [c for c in SCALARS if len(nfd(chr(c))) > 1 and nfc(chr(c)) != chr(c)]
    return [("notComposed", "Have a canonical decomposition of several scalars, and are never made of it again.", kept)]


def main():
    print(f"""\
// Made by scripts/golden/text_classes.py from tokenizers {tokenizers.__version__}; do not edit.
// Numbers are hexadecimal; each range bound is written as its distance from the one before.

/// Classes of Unicode scalars beyond BERT's, as text that `UnicodeData` and `GraphemeClasses` read once.
enum TextClassTables {{""")
    for index, (name, comment, scalars) in enumerate(classes() + compositions() + graphemes()):
        comment = comment.replace("\\\\", "\\")
        print(("\n" if index else "") + f'  /// {comment}\n  static let {name}: StaticString = """')
        line = ""
        for item in range_table(scalars):
            if line and len(line) + 1 + len(item) > 112:
                print(f"    {line} \\")
                line = item
            else:
                line = f"{line} {item}".strip()
        print(f'    {line}\n    """')
    print("}")


if __name__ == "__main__":
    main()
