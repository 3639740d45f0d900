#!/usr/bin/env python3
"""Writes Sources/Inference/Tokenizer/UnicodeTables.swift.

The tables hold what BERT's normalizer and pre-tokenizer do to every Unicode scalar. They are read off the Hugging Face
`tokenizers` package itself, scalar by scalar, and not from a newer Unicode database: a token id must be what that
package says, and its crates carry tables of several Unicode versions.

    python unicode_tables.py > ../../Sources/Inference/Tokenizer/UnicodeTables.swift
"""
import unicodedata

import tokenizers
from tokenizers import normalizers, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def bert(**on):
    switches = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**(switches | on)).normalize_str


def ranges(scalars):
    """Sorted scalars as (first, last) runs."""
    runs = []
    for c in scalars:
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return runs


def deltas(numbers):
    """Rising numbers as hexadecimal steps, which is a third of the size."""
    out, last = [], 0
    for n in numbers:
        out.append(f"{n - last:x}")
        last = n
    return out


def range_table(scalars):
    return deltas([n for run in ranges(scalars) for n in run])


def map_table(mapping):
    """step of the key, then the values joined by `+`."""
    out, last = [], 0
    for key in sorted(mapping):
        out.append(f"{key - last:x}=" + "+".join(f"{ord(v):x}" for v in mapping[key]))
        last = key
    return out


def combining_classes(nfd):
    """The class of each scalar as `nfd` orders it, found by putting a mark of every known class behind it."""
    representative = {}
    for c in range(0x300, 0x20000):
        cls = unicodedata.combining(chr(c))
        if cls and unicodedata.is_normalized("NFD", chr(c)) and cls not in representative:
            if nfd(chr(c)) == chr(c) and nfd("\u0301" + chr(c) + "\u0334")[0] == "\u0334":
                representative[cls] = chr(c)
    known = sorted(representative)
    classes = {}
    for c in SCALARS:
        char = chr(c)
        if nfd(char) != char or 0xAC00 <= c <= 0xD7A3:
            continue  # never seen once everything is decomposed
        if nfd(char + "\u0334") == char + "\u0334" and nfd("\u0345" + char) == "\u0345" + char:
            if unicodedata.combining(char) not in (1, 240):
                continue  # moves behind no class 1 and before no class 240: a starter
        lower = [k for k in known if nfd(char + representative[k]) != char + representative[k]]
        upper = [k for k in known if nfd(representative[k] + char) != representative[k] + char]
        same = [k for k in known if k not in lower and k not in upper]
        if same == known:
            continue  # a starter in the package's older tables
        assert len(same) == 1 and unicodedata.combining(char) == same[0], (hex(c), same)
        classes[c] = same[0]
    return classes


def main():
    nfd = normalizers.NFD().normalize_str
    clean, chinese = bert(clean_text=True), bert(handle_chinese_chars=True)
    strip, lower = bert(strip_accents=True), bert(lowercase=True)
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str

    removed, blank, cjk, mark, space, punctuation = [], [], [], [], [], []
    decomposition, lowercase = {}, {}
    for c in SCALARS:
        char = chr(c)
        cleaned = clean(char)
        if cleaned == "":
            removed.append(c)
        elif cleaned != char:
            assert cleaned == " "
            blank.append(c)
        if chinese(char) != char:
            assert chinese(char) == f" {char} "
            cjk.append(c)
        decomposed = nfd(char)
        if not 0xAC00 <= c <= 0xD7A3 and decomposed != char:
            decomposition[c] = decomposed
        if decomposed == char and strip(char) == "":
            mark.append(c)
        if lower(char) != char:
            lowercase[c] = lower(char)
        pieces = [piece for piece, _ in split("a" + char + "b")]
        if pieces == ["a", "b"]:
            space.append(c)
        elif pieces == ["a", char, "b"]:
            punctuation.append(c)
        else:
            assert pieces == ["a" + char + "b"]
    # What is stripped is the decomposition without its marks: no other rule hides in the package.
    marks = set(mark)
    for c in SCALARS:
        assert strip(chr(c)) == "".join(d for d in nfd(chr(c)) if ord(d) not in marks), hex(c)
    assert blank == sorted(set(blank)) and set(blank) | {0x20} == set(space) - set(removed)

    classes = combining_classes(nfd)
    class_runs, last = [], 0
    for first, final in ranges(sorted(classes)):
        start = first
        for c in range(first, final + 2):
            if c == final + 1 or classes[c] != classes[start]:
                class_runs.append(f"{start - last:x}+{c - 1 - start:x}={classes[start]:x}")
                last = start
                start = c

    tables = [
        ("removedByCleaning", "Control, format, private and NUL, U+FFFD: dropped by `clean_text`.", range_table(removed)),
        ("whitespace", "Ends a word; becomes a blank by `clean_text`.", range_table(space)),
        ("chinese", "Gets a blank on either side by `handle_chinese_chars`.", range_table(cjk)),
        ("punctuation", "A word of its own.", range_table(punctuation)),
        ("nonspacingMarks", "Dropped by `strip_accents` after decomposition.", range_table(mark)),
        ("combiningClasses", "Runs of canonical combining class: step+length-1=class.", class_runs),
        ("decompositions", "Full canonical decomposition, Hangul syllables excepted.", map_table(decomposition)),
        ("lowercase", "Lower case, scalar by scalar, without context.", map_table(lowercase)),
    ]
    print(f"""\
// Made by scripts/golden/unicode_tables.py from tokenizers {tokenizers.__version__}; do not edit.
// Numbers are hexadecimal; each key or range bound is written as its distance from the one before.

/// What BERT's normalizer and pre-tokenizer do to each Unicode scalar, as text that `UnicodeData` reads once.
enum UnicodeTables {{""")
    for index, (name, comment, items) in enumerate(tables):
        print(("\n" if index else "") + f'  /// {comment}\n  static let {name}: StaticString = """')
        line = ""
        for item in items:
            if line and len(line) + 1 + len(item) > 112:
                print(f"    {line} \\")
                line = item
            else:
                line = f"{line} {item}".strip()
        print(f'    {line}\n    """')
    print("}")


if __name__ == "__main__":
    main()
