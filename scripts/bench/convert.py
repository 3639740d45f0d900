"""Makes one peer's model from the Hugging Face folder.

    python convert.py NAME MODEL_DIR WORK_DIR

NAME is a key of CONVERSIONS; the model goes to WORK_DIR/NAME. Every conversion follows the peer's own documentation:
graph optimisation where it has one, pooling and normalisation inside the graph where it can hold them, post-training
quantisation by its own tool. WORK_DIR/documents is what documents.py wrote.
"""
import json
import pathlib
import shutil
import sys

CALIBRATION_DOCUMENTS = 300


def documents(work, name):
    return json.loads((work / "documents" / f"{name}.json").read_text(encoding="utf-8"))


def pooled_torch_model(model_dir):
    """The encoder with mean pooling and normalisation: (ids, mask) to (documents, hidden)."""
    import torch
    import transformers

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = transformers.BertModel.from_pretrained(model_dir, add_pooling_layer=False).float().eval()

        def forward(self, input_ids, attention_mask):
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weight = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weight).sum(1) / weight.sum(1)
            return torch.nn.functional.normalize(mean, dim=1)

    return Pooled().eval()


def example(torch):
    ids = torch.randint(1000, 20000, (2, 24))
    mask = torch.ones_like(ids)
    mask[1, 20:] = 0
    return ids, mask


def onnx_fp32(model_dir, out, work):
    """Exported without pooling, then fused by ONNX Runtime's transformer optimizer for BERT."""
    import onnx
    import torch
    import transformers
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    config = json.loads((model_dir / "config.json").read_text())

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = transformers.BertModel.from_pretrained(
                model_dir, add_pooling_layer=False, attn_implementation="eager").float().eval()

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.encoder(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    ids, mask = example(torch)
    axes = {name: {0: "batch", 1: "tokens"} for name in ["input_ids", "attention_mask", "token_type_ids", "hidden"]}
    raw = out / "raw.onnx"
    torch.onnx.export(
        Encoder(), (ids, mask, torch.zeros_like(ids)), str(raw), dynamo=False, opset_version=17,
        input_names=["input_ids", "attention_mask", "token_type_ids"], output_names=["hidden"], dynamic_axes=axes)
    options = FusionOptions("bert")
    fused = optimizer.optimize_model(
        str(raw), model_type="bert", num_heads=config["num_attention_heads"], hidden_size=config["hidden_size"],
        opt_level=1, optimization_options=options)
    fused.save_model_to_file(str(out / "model.onnx"))
    print("fused:", fused.get_fused_operator_statistics())
    onnx.checker.check_model(str(raw))


def onnx_int8(model_dir, out, work):
    """Dynamic quantisation, weights per channel."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(work / "onnx-fp32" / "model.onnx"), str(out / "model.onnx"), per_channel=True, reduce_range=False,
        weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def openvino_fp32(model_dir, out, work):
    import openvino
    import torch

    ids, mask = example(torch)
    model = openvino.convert_model(
        pooled_torch_model(model_dir), example_input={"input_ids": ids, "attention_mask": mask},
        input=[("input_ids", openvino.PartialShape([-1, -1]), openvino.Type.i64),
               ("attention_mask", openvino.PartialShape([-1, -1]), openvino.Type.i64)])
    openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)


def openvino_int8(model_dir, out, work):
    """NNCF's post-training quantisation, with its settings for transformers."""
    import nncf
    import numpy
    import openvino

    model = openvino.Core().read_model(str(work / "openvino-fp32" / "model.xml"))
    # None of the documents that accuracy is measured over.
    texts = [ids for length in (128, 64, 32) for ids in documents(work, f"length-{length}")["ids"]]

    def inputs(ids):
        row = numpy.array([ids], numpy.int64)
        return {"input_ids": row, "attention_mask": numpy.ones_like(row)}

    quantized = nncf.quantize(
        model, nncf.Dataset(texts[:CALIBRATION_DOCUMENTS], inputs), model_type=nncf.ModelType.TRANSFORMER,
        subset_size=CALIBRATION_DOCUMENTS)
    openvino.save_model(quantized, str(out / "model.xml"), compress_to_fp16=False)


def ctranslate2_fp32(model_dir, out, work):
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(model_dir)).convert(str(out / "model"), force=True)


def gguf(model_dir, out, kind):
    """The tensors and names of llama.cpp's `bert` architecture."""
    import gguf as format
    import numpy
    import safetensors.numpy

    config = json.loads((model_dir / "config.json").read_text())
    layers = config["num_hidden_layers"]
    writer = format.GGUFWriter(str(out / "model.gguf"), "bert")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(format.PoolingType.MEAN)
    writer.add_file_type({
        "f16": format.LlamaFileType.MOSTLY_F16, "bf16": format.LlamaFileType.MOSTLY_BF16,
        "q8_0": format.LlamaFileType.MOSTLY_Q8_0}[kind])
    vocabulary = (model_dir / "vocab.txt").read_text(encoding="utf-8").splitlines()
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

    def token(word):
        if word in special or (word.startswith("[") and word.endswith("]")):
            return word
        return word[2:] if word.startswith("##") else "\u2581" + word

    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token(word) for word in vocabulary])
    writer.add_token_types([
        format.TokenType.CONTROL if word in special else format.TokenType.NORMAL for word in vocabulary])
    writer.add_token_type_count(config["type_vocab_size"])
    for add, word in [
        (writer.add_unk_token_id, "[UNK]"), (writer.add_pad_token_id, "[PAD]"), (writer.add_sep_token_id, "[SEP]"),
        (writer.add_bos_token_id, "[CLS]"), (writer.add_mask_token_id, "[MASK]"),
    ]:
        add(vocabulary.index(word))
    names = format.get_tensor_name_map(format.MODEL_ARCH.BERT, layers)
    for name, values in safetensors.numpy.load_file(str(model_dir / "model.safetensors")).items():
        name = name.removeprefix("bert.")
        if name.startswith("pooler") or "position_ids" in name:
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise ValueError(f"llama.cpp has no name for {name}")
        values = values.astype(numpy.float32)
        # As llama.cpp's own converter chooses: matrices in the small type, vectors and the two small tables in F32.
        small = values.ndim > 1 and not target.startswith(("position_embd", "token_types"))
        if not small:
            writer.add_tensor(target, values)
        elif kind == "f16":
            writer.add_tensor(target, values.astype(numpy.float16))
        else:
            type = {"bf16": format.GGMLQuantizationType.BF16, "q8_0": format.GGMLQuantizationType.Q8_0}[kind]
            writer.add_tensor(target, format.quants.quantize(values, type), raw_dtype=type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


CONVERSIONS = {
    "onnx-fp32": onnx_fp32,
    "onnx-int8": onnx_int8,
    "openvino-fp32": openvino_fp32,
    "openvino-int8": openvino_int8,
    "ctranslate2": ctranslate2_fp32,
    "gguf-bf16": lambda model, out, work: gguf(model, out, "bf16"),
    "gguf-f16": lambda model, out, work: gguf(model, out, "f16"),
    "gguf-q8_0": lambda model, out, work: gguf(model, out, "q8_0"),
}


def main():
    name, model_dir, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    out = work / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    CONVERSIONS[name](model_dir, out, work)
    (out / "complete").touch()


if __name__ == "__main__":
    main()
