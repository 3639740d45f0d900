"""Two thousand texts that ask a tokenizer every awkward question; the same texts at every run."""
import random
import unicodedata

COUNT = 2000

SENTENCES = [
    "The quarterly review of the Harrow Point depot found three pallets without a seal.",
    "Invoice 2291-B was paid twice; the second payment (EUR 14,380.50) has been returned.",
    "Patient reports mild dyspnoea after climbing two flights; SpO2 97%, no oedema.",
    "Müller & Söhne GmbH liefert die Ersatzteile für die Fähre nach Øresund am 3. März.",
    "Le procès-verbal de la séance du 12 février a été approuvé à l'unanimité — sans réserve.",
    "El informe señala que la presión subió a 3,2 bar; ¿quién autorizó la maniobra?",
    "Zażółć gęślą jaźń. Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Отчёт о проверке склада направлен в министерство; ошибок не найдено.",
    "Η αναφορά παραδόθηκε στην επιτροπή ΧΩΡΙΣ καθυστέρηση, Οδυσσεύς.",
    "İstanbul'dan gelen yük IĞDIR üzerinden sevk edildi; ılık hava bekleniyor.",
    "これは秘密の報告書です。カタカナとひらがな、漢字を含みます。ガギグゲゴ",
    "这份文件涉及供应链审计,共有三处异常。",
    "이 보고서는 세 가지 문제를 다룬다. 각 항목은 부록에 있다.",
    "التقرير السنوي جاهز للمراجعة، وَشُكْرًا لَكُم.",
    "הדו״ח נמסר לוועדה בְּשָׁלוֹם.",
    "यह रिपोर्ट गोपनीय है; कृपया साझा न करें।",
    "รายงานนี้เป็นความลับและห้ามเผยแพร่",
    "Báo cáo này được gửi tới uỷ ban vào thứ Hai, không có lỗi nào.",
    "def embed(x): return {k: v**2 for k, v in x.items() if v != 0}  # TODO? no!",
    "https://example.org/a/b?c=d&e=%20f#g user@example.org C:\\temp\\x.txt",
    "Ship to: 14 Rue de l'Église, 75014 Paris — attn. Mme Lefèvre (tél. +33 1 40 00 00 00)",
    "ＦＵＬＬ ｗｉｄｔｈ ＡＢＣ１２３ ﬁﬂ ligatures ½ ² ™ ℃ Å Ω",
    "👩‍👩‍👧‍👦 family, 🇫🇷 flag, 👍🏽 thumbs, ❤️ heart, 🧑🏿‍🚀 astronaut 😀😀😀",
    "[CLS] injected [SEP] tokens [MASK] [PAD] [UNK] [cls] [ SEP ]",
]

SPECIAL = [
    "", " ", "\n", "\t\t", "\u0000", "\ufffd", "\u200b", "\u00ad", "\ufeff", "a\u0000b", "a\ufffdb", "a\u200db",
    "x" * 100, "x" * 101, "é" * 100, "e\u0301" * 100, "ab" * 4000, "[CLS]", "[SEP][SEP]", "[CLS]a[MASK]b[PAD]",
    "##ing", "# #ing un##able", "\u0301", "\u0301a", "a\u0345\u0301\u0334b", "\u302e\u302f\u0315x",
    "\U0001d15e\U0001d165\U0001d16e", "\uac00\uac01\ud7a3", "\u1100\u1161\u11a8", "Σίσυφος ΣΊΣΥΦΟΣ", "ǅ ǆ Ǆ ß ẞ ŉ",
    "İ i̇ ı I", "\u2028\u2029\u0085\u000b\u000c\u001c\u001f", "\u00a0\u1680\u2003\u202f\u205f\u3000", "\u2f00\uf900\ufa0e",
    "\U00020000\U0002a6df\U0002f800\U00030000", "\ue000\uf8ff\U000f0000\U0010fffd", "\u0378\u0379\uffff\ufdd0",
    "−–—‒―‐‑", "“”‘’«»‹›„‚", "、。「」『』【】〜・", "$+<=>^`|~", "¢£¤¥₿∑√∞≈", "१२३ ١٢٣ ໑໒໓ Ⅻ ⅷ", "a" + "\u0301" * 500 + "b",
    "\u3131\u318e\uffa0", "ﷺ ﷽", "ᾳ ᾼ ῼ ΐ", "ậ ậ ậ", "q\u0307\u0323 q\u0323\u0307", "\u0f71\u0f72\u0f74\u0f73",
    "word " * 600, "句" * 400, "tail\n\n\n", "\u202eRTL\u202c", "A\u030a\u0301 \u212b\u0301", "\U0001f3f4\U000e0067\U000e007f",
]


def scalar(rng, low, high):
    while True:
        c = rng.randrange(low, high)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def noise(rng):
    blocks = [
        (0x00, 0x80), (0x80, 0x250), (0x250, 0x370), (0x370, 0x530), (0x530, 0x800), (0x900, 0x1100), (0x1100, 0x1400),
        (0x1400, 0x2000), (0x2000, 0x2C00), (0x2C00, 0x3100), (0x3100, 0xA000), (0xA000, 0xD7A4), (0xE000, 0x10000),
        (0x10000, 0x11000), (0x11000, 0x17000), (0x1D000, 0x1D800), (0x1E000, 0x1FB00), (0x20000, 0x32000),
        (0xE0000, 0xE0200), (0x0, 0x110000), (0x300, 0x370), (0x1DC0, 0x1E00),
    ]
    out = []
    for _ in range(rng.randrange(1, 40)):
        low, high = blocks[rng.randrange(len(blocks))]
        out.append(scalar(rng, low, high))
        if rng.random() < 0.25:
            out.append(" abc" if rng.random() < 0.5 else " ")
    return "".join(out)


def mixture(rng):
    words = " ".join(SENTENCES[rng.randrange(len(SENTENCES))] for _ in range(rng.randrange(1, 3))).split(" ")
    for _ in range(rng.randrange(0, 4)):
        at = rng.randrange(len(words))
        word = words[at]
        change = rng.randrange(8)
        if change == 0:
            words[at] = word.upper()
        elif change == 1:
            words[at] = unicodedata.normalize("NFD", word)
        elif change == 2:
            words[at] = "".join(c + chr(rng.randrange(0x300, 0x370)) for c in word)
        elif change == 3:
            words[at] = word + scalar(rng, 0x1F300, 0x1FAFF)
        elif change == 4:
            words[at] = word + scalar(rng, 0, 0x20) + word
        elif change == 5:
            words[at] = word[::-1]
        elif change == 6:
            words[at] = word * rng.randrange(2, 5)
        else:
            words[at] = scalar(rng, 0x2000, 0x2070).join(word)
    return " ".join(words)


def memo(rng):
    subject = ["convoy", "ledger", "clinic", "reactor", "bridge", "harbour", "payroll", "vaccine", "satellite", "vineyard"]
    verb = ["inspected", "delayed", "audited", "repaired", "approved", "questioned", "rerouted", "insured"]
    detail = ["before dawn", "without notice", "at the northern gate", "by the second team", "under protest", "in part"]
    return " ".join(
        f"The {subject[rng.randrange(10)]} was {verb[rng.randrange(8)]} {detail[rng.randrange(6)]} on day "
        f"{rng.randrange(1, 365)}{'.' if rng.random() < 0.8 else ';'}"
        for _ in range(rng.randrange(1, 9 if rng.random() < 0.95 else 40)))


def texts():
    rng = random.Random(20260401)
    all_texts = list(SPECIAL) + list(SENTENCES)
    makers = [noise, mixture, mixture, memo]
    while len(all_texts) < COUNT:
        all_texts.append(makers[len(all_texts) % len(makers)](rng))
    rng.shuffle(all_texts)
    return all_texts
