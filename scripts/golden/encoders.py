#!/usr/bin/env python3
"""Writes Tests/Vectors/encoders: small random models as transformers and sentence-transformers write them to disk, and
what these two make of a few texts.

    python encoders.py OUT_DIR

Each folder is a model. golden.json beside it: {"items": [{"text", "pair", "prompt", "ids", "second", "output"}]}; `second`
is the place of the first token whose segment is 1, null where there is none. The trainers of vocabularies break ties by
chance: another run gives other data, as good.
"""
import argparse
import json
import pathlib
import shutil
import tempfile

import tokenizers
import torch
import transformers
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "",
    "a report of the bridge",
    "The river ran under the old stone bridge, and nobody looked at it.",
    "memo: the note of the report is late; send it again by Monday",
    "ünïcödé cafés are naïve — 42 of them, 1,000 days",
    "the quick brown fox jumps over the lazy dog " * 20,
]
PAIRS = [
    ("where is the bridge?", "The river ran under the old stone bridge."),
    ("who looked at it", "a"),
    ("report", "a memo is a note; a report is no memo " * 12),
    ("the lazy dog " * 12, "the quick brown fox " * 15),
    ("the lazy dog " * 30, "over"),
]


def wordpiece(first="[CLS]", last="[SEP]", separators=1, pad="[PAD]", unknown="[UNK]", special=None, **options):
    special = special or [pad, unknown, first, last, "[MASK]"]
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=180, special_tokens=special)
    tokenizer.train_from_iterator(TEXTS + [part for pair in PAIRS for part in pair], trainer)
    between = " ".join([f"{last}:0"] * separators)
    second = 1 if separators == 1 else 0
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {between} $B:{second} {last}:{second}",
        special_tokens=[(first, tokenizer.token_to_id(first)), (last, tokenizer.token_to_id(last))],
    )
    tokenizer.decoder = decoders.WordPiece()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=unknown, pad_token=pad, cls_token=first, sep_token=last,
        mask_token=special[-1], model_max_length=1000, **options,
    )


def byte_level():
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", cls_token="<s>", sep_token="</s>",
        bos_token="<s>", eos_token="</s>", mask_token="<mask>", model_max_length=1000)


def unigram():
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(tokenizers.Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", cls_token="<s>", sep_token="</s>",
        bos_token="<s>", eos_token="</s>", mask_token="<mask>", model_max_length=1000)


def randomize(model, seed):
    """Weights of a size at which every part of the model tells in the result."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        norm = "norm" in name.lower()
        parameter.data = 1 + 0.1 * noise if norm and name.endswith("weight") else noise * (0.1 if parameter.dim() == 1 else 0.15)


def save(kind, config, tokenizer, folder, seed, dtype=torch.float32, shard="1GB"):
    model = kind(config)
    randomize(model, seed)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    tokenizer.save_pretrained(folder)


def golden(folder, items):
    with open(folder / "golden.json", "w", encoding="utf-8") as file:
        lines = [json.dumps(item, ensure_ascii=False) for item in items]
        file.write('{"items":[\n' + ",\n".join(lines) + "\n]}\n")


def encoded(tokenizer, limit, text, pair=None):
    """The ids as sentence-transformers asks for them, and where the second segment begins."""
    encoding = tokenizer(text, pair, truncation="longest_first", max_length=limit) if pair is not None else tokenizer(
        text, truncation=True, max_length=limit)
    types = encoding.get("token_type_ids") or []
    return encoding["input_ids"], types.index(1) if 1 in types else None


def embedder(out, name, kind, config, tokenizer, seed, pooling, normalize=True, dense=None, limit=None, prompts=None,
             default=None, texts=TEXTS, **options):
    with tempfile.TemporaryDirectory() as work:
        save(kind, config, tokenizer, work, seed, **options)
        transformer = Transformer(work, max_seq_length=limit, model_kwargs={"dtype": torch.float32})
        shutil.copytree(work, out / name)
    width = transformer.get_embedding_dimension()
    modules = [transformer, Pooling(width, pooling_mode=pooling)]
    if dense:
        modules.append(Dense(width, dense, activation_function=torch.nn.Tanh()))
        randomize(modules[-1], seed + 1)
    if normalize:
        modules.append(Normalize())
    model = SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name=default)
    model.eval()
    # The weights stay as they were saved, in their own type and shards.
    with tempfile.TemporaryDirectory() as work:
        model.save(work, create_model_card=False)
        weights = {"model.safetensors", "model.safetensors.index.json", "config.json"}
        for path in pathlib.Path(work).rglob("*"):
            part = path.relative_to(work)
            if path.is_file() and str(part) not in weights and not part.name.startswith("model-"):
                (out / name / part).parent.mkdir(exist_ok=True)
                shutil.copy(path, out / name / part)
    items = []
    prefix = (prompts or {}).get(default, "")
    for text in texts:
        ids, _ = encoded(transformer.tokenizer, model.max_seq_length, prefix + text)
        output = model.encode([text], convert_to_numpy=True)[0]
        items.append({"text": text, "ids": ids, "output": output.tolist()})
    for prompt in prompts or {}:
        items.append({"text": texts[2], "prompt": prompt,
                      "output": model.encode([texts[2]], prompt_name=prompt)[0].tolist()})
    golden(out / name, items)


def classifier(out, name, kind, config, tokenizer, seed, limit, texts=(), pairs=(), **options):
    """What the text-classification pipeline gives: every label's score."""
    folder = out / name
    save(kind, config, tokenizer, folder, seed, **options)
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": limit}) + "\n")
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    items = []
    for text, pair in [(text, None) for text in texts] + list(pairs):
        ids, second = encoded(tokenizer, limit, text, pair)
        inputs = {"text": text} if pair is None else {"text": text, "text_pair": pair}
        scores = pipeline(inputs, truncation=True, max_length=limit)
        scores = scores[0] if isinstance(scores[0], list) else scores
        scores = {entry["label"]: entry["score"] for entry in scores}
        items.append({"text": text, "pair": pair, "ids": ids, "second": second, "output": [scores[label] for label in labels]})
    golden(folder, items)


def cross_encoder(out, name, kind, config, tokenizer, seed, limit, activation=None, **options):
    folder = out / name
    with tempfile.TemporaryDirectory() as work:
        save(kind, config, tokenizer, work, seed, **options)
        model = CrossEncoder(work, max_length=limit, activation_fn=activation, model_kwargs={"dtype": torch.float32})
        model.save(str(folder))
    (folder / "README.md").unlink(missing_ok=True)
    items = []
    for text, pair in PAIRS:
        ids, second = encoded(model.tokenizer, limit, text, pair)
        items.append({"text": text, "pair": pair, "ids": ids, "second": second,
                      "output": [float(model.predict([(text, pair)])[0])]})
    golden(folder, items)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out_dir", type=pathlib.Path)
    out = parser.parse_args().out_dir
    torch.set_num_threads(1)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)

    bert = wordpiece()
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "attn_implementation": "eager"}
    sized = lambda tokenizer, **more: {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **shape, **more}
    embedder(out, "bert-mean", transformers.BertModel,
             transformers.BertConfig(**sized(bert, num_attention_heads=2, max_position_embeddings=64)), bert, 1, "mean",
             limit=48, prompts={"query": "a query: ", "document": "a document: "}, default="document")
    embedder(out, "bert-max", transformers.BertModel,
             transformers.BertConfig(**sized(bert, hidden_size=64, num_attention_heads=1, max_position_embeddings=64,
                                             hidden_act="gelu_new")), bert, 2, "max", normalize=False, dtype=torch.bfloat16)
    embedder(out, "bert-dense", transformers.BertModel,
             transformers.BertConfig(**sized(bert, num_attention_heads=1, max_position_embeddings=64,
                                             hidden_act="gelu_pytorch_tanh")), bert, 3, "cls", dense=48, dtype=torch.float16)
    embedder(out, "distilbert-lasttoken", transformers.DistilBertModel,
             transformers.DistilBertConfig(vocab_size=len(bert), dim=32, n_layers=2, n_heads=1, hidden_dim=64,
                                           max_position_embeddings=64, activation="relu", attn_implementation="eager"),
             bert, 4, "lasttoken", dtype=torch.float16)
    roberta = byte_level()
    embedder(out, "roberta-mean", transformers.RobertaModel,
             transformers.RobertaConfig(**sized(roberta, num_attention_heads=2, max_position_embeddings=66,
                                                type_vocab_size=1, layer_norm_eps=1e-5)),
             roberta, 5, "mean", limit=64, dtype=torch.bfloat16, texts=TEXTS + ["padded <pad> inside"])
    xlmr = unigram()
    embedder(out, "xlm-roberta-cls", transformers.XLMRobertaModel,
             transformers.XLMRobertaConfig(**sized(xlmr, num_attention_heads=2, max_position_embeddings=66,
                                                   type_vocab_size=1, layer_norm_eps=1e-5)),
             xlmr, 6, "cls", limit=64, dtype=torch.float16, shard="30KB")
    mpnet = wordpiece("<s>", "</s>", 2, "<pad>", "[UNK]", ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"])
    embedder(out, "mpnet-mean", transformers.MPNetModel,
             transformers.MPNetConfig(**sized(mpnet, num_attention_heads=2, max_position_embeddings=290)),
             mpnet, 7, "mean", limit=288, dtype=torch.float16, texts=TEXTS + ["river note " * 160])

    # With segments; transformers leaves them out where the tokenizer does not name them, as in bert-score below.
    typed = wordpiece(model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    labels = {0: "contradiction", 1: "entailment", 2: "neutral"}
    classifier(out, "bert-classify", transformers.BertForSequenceClassification,
               transformers.BertConfig(**sized(typed, num_attention_heads=2, max_position_embeddings=64, id2label=labels,
                                               label2id={label: index for index, label in labels.items()})),
               typed, 8, 40, texts=TEXTS[:3], pairs=PAIRS, dtype=torch.float16)
    classifier(out, "distilbert-classify", transformers.DistilBertForSequenceClassification,
               transformers.DistilBertConfig(vocab_size=len(bert), dim=32, n_layers=1, n_heads=2, hidden_dim=64,
                                             max_position_embeddings=64, attn_implementation="eager"),
               bert, 9, 64, texts=TEXTS, dtype=torch.float16)
    topics = {index: f"topic {index}" for index in range(19)}
    classifier(out, "roberta-multilabel", transformers.RobertaForSequenceClassification,
               transformers.RobertaConfig(**sized(roberta, num_hidden_layers=1, num_attention_heads=2,
                                                  max_position_embeddings=66, type_vocab_size=1, layer_norm_eps=1e-5,
                                                  id2label=topics, problem_type="multi_label_classification")),
               roberta, 10, 64, texts=TEXTS[:4], pairs=PAIRS[:2], dtype=torch.float16)
    classifier(out, "mpnet-classify", transformers.MPNetForSequenceClassification,
               transformers.MPNetConfig(**sized(mpnet, num_hidden_layers=1, num_attention_heads=2,
                                                max_position_embeddings=66, id2label=labels)),
               mpnet, 11, 64, texts=TEXTS[:2], pairs=PAIRS, dtype=torch.float16)
    cross_encoder(out, "bert-score", transformers.BertForSequenceClassification,
                  transformers.BertConfig(**sized(bert, num_hidden_layers=1, num_attention_heads=2,
                                                  max_position_embeddings=64, num_labels=1)),
                  bert, 12, 64, activation=torch.nn.Identity())
    cross_encoder(out, "xlm-roberta-score", transformers.XLMRobertaForSequenceClassification,
                  transformers.XLMRobertaConfig(**sized(xlmr, num_hidden_layers=1, num_attention_heads=2,
                                                        max_position_embeddings=66, type_vocab_size=1,
                                                        layer_norm_eps=1e-5, num_labels=1)),
                  xlmr, 13, 64)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{len(list(out.iterdir()))} models, {size} bytes; transformers {transformers.__version__}, torch {torch.__version__}")


main()
