#!/usr/bin/env python3
"""Writes a Llama of one layer and random weights to a folder: it writes noise, in milliseconds, by the same path as a trained
model. Nothing but Python's own library is needed. Usage: tiny-decoder.py FOLDER"""
import json
import os
import random
import struct
import sys

WIDTH, INNER, HEAD, CONTEXT = 32, 64, 16, 4096
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("o", "f"), ("Ġ", "of"), ("i", "n"), ("e", "r"), ("r", "e"), ("Ġ", "a"),
          ("Ġ", "b"), ("o", "n"), ("e", "n"), ("a", "n"), ("s", "t")]
SPECIAL = ["<|begin|>", "<|end|>", "<|role|>"]
TEMPLATE = ("{{ bos_token }}{% for message in messages %}<|role|>{{ message.role }}\n{{ message.content | trim }}<|end|>"
            "{% endfor %}{% if add_generation_prompt %}<|role|>assistant\n{% endif %}")


def alphabet():
    """The 256 bytes as byte-level vocabularies spell them: those that print as themselves, others from U+0100 on."""
    letters, following = [], 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte:
            letters.append(chr(byte))
        else:
            letters.append(chr(following))
            following += 1
    return letters


def main(folder):
    os.makedirs(folder, exist_ok=True)
    vocabulary = {token: index for index, token in enumerate(alphabet() + [a + b for a, b in MERGES])}
    ids = {token: len(vocabulary) + index for index, token in enumerate(SPECIAL)}
    size = (len(vocabulary) + len(ids) + 15) // 16 * 16
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": WIDTH,
        "intermediate_size": INNER, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": HEAD, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": CONTEXT,
        "vocab_size": size, "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": ids["<|begin|>"], "eos_token_id": ids["<|end|>"],
    }
    begin = {"id": "<|begin|>", "ids": [ids["<|begin|>"]], "tokens": ["<|begin|>"]}
    single = [{"SpecialToken": {"id": "<|begin|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "added_tokens": [{"id": ids[token], "content": token, "special": True} for token in SPECIAL],
        "normalizer": None, "pre_tokenizer": byte_level,
        "post_processor": {"type": "TemplateProcessing", "single": single,
                           "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<|begin|>": begin}},
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [list(pair) for pair in MERGES]},
    }
    settings = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "chat_template": TEMPLATE}
    for name, content in [("config", config), ("tokenizer", tokenizer), ("tokenizer_config", settings)]:
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)

    layer = "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": [size, WIDTH], layer + "input_layernorm.weight": [WIDTH],
        layer + "self_attn.q_proj.weight": [2 * HEAD, WIDTH], layer + "self_attn.k_proj.weight": [HEAD, WIDTH],
        layer + "self_attn.v_proj.weight": [HEAD, WIDTH], layer + "self_attn.o_proj.weight": [WIDTH, 2 * HEAD],
        layer + "post_attention_layernorm.weight": [WIDTH], layer + "mlp.gate_proj.weight": [INNER, WIDTH],
        layer + "mlp.up_proj.weight": [INNER, WIDTH], layer + "mlp.down_proj.weight": [WIDTH, INNER],
        "model.norm.weight": [WIDTH], "lm_head.weight": [size, WIDTH],
    }
    source, header, data = random.Random(1), {}, bytearray()
    for name, shape in shapes.items():
        start, count = len(data), 1
        for length in shape:
            count *= length
        for _ in range(count):
            value = 1.0 if len(shape) == 1 else source.gauss(0, 0.3)
            data += struct.pack("<f", value)[2:]  # BF16: the upper half
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, len(data)]}
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
