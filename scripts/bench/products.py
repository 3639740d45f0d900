"""The dense products of the model alone, by oneDNN with weights packed beforehand, through PyTorch.

Answers {"shapes": [{"inputs", "outputs", "rows", "rate"}]}, in 10⁹ multiplications and additions a second, one thread: the
best of `repeat` runs. int8 is unsigned bytes times signed bytes to fp32, with a scale for each output and the bias.
"""
import time

SHAPES = [(384, 1152), (384, 384), (384, 1536), (1536, 384)]
ROWS = 512


def best_rate(run, inputs, outputs, repeat):
    run()
    least = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - started)
    return 2 * ROWS * inputs * outputs / least / 1e9


def floats(torch, inputs, outputs, type):
    """oneDNN's inner product over a weight in its blocked order."""
    x = torch.randn(ROWS, inputs).to(type)
    bias = torch.randn(outputs).to(type)
    weight = torch.ops.mkldnn._reorder_linear_weight(torch.randn(outputs, inputs).to(type), ROWS)
    return lambda: torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def bytes_(torch, inputs, outputs):
    x = torch.randint(0, 255, (ROWS, inputs), dtype=torch.uint8)
    weight = torch.randint(-127, 127, (outputs, inputs), dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, [ROWS, inputs])
    scales, zeros = torch.full((outputs,), 0.01), torch.zeros(outputs, dtype=torch.int64)
    bias = torch.randn(outputs)
    return lambda: torch.ops.onednn.qlinear_pointwise(
        x, 0.02, 128, packed, scales, zeros, bias, 1.0, 0, torch.float32, "none", [], "")


def measure(precision, repeat):
    import torch

    torch.set_num_threads(1)
    rows = []
    with torch.inference_mode():
        for inputs, outputs in SHAPES:
            if precision == "int8":
                run = bytes_(torch, inputs, outputs)
            else:
                run = floats(torch, inputs, outputs, {"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
            rate = best_rate(run, inputs, outputs, repeat)
            rows.append({"inputs": inputs, "outputs": outputs, "rows": ROWS, "rate": rate})
    return {"shapes": rows}
