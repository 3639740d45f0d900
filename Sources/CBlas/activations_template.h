// What stands between and behind the products of an encoder beside GELU by erf, included by kernels_template.h for each
// instruction set: the other activations, softmax of labels, pooling by the greatest.

// 1 / (1 + e⁻ˣ). The cut at ±87 changes no bit of a float's sum with 1.
INLINE v16 sigmoid16(v16 x) {
  x = x < -87.0f ? (v16)-87.0f : x;
  return 1.0f / (1.0f + exp16(-x));
}

INLINE v16 activated(const cb_activation kind, v16 x) {
  switch (kind) {
    case CB_RELU: return x > 0.0f ? x : (v16)0.0f;
    case CB_TANH: return fma16(sigmoid16(x + x), (v16)2.0f, (v16)-1.0f);
    case CB_SIGMOID: return sigmoid16(x);
    case CB_GELU_TANH: {
      // ½·x·(1 + tanh u) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³)
      v16 u = fma16(x * x, x * 0.0713548163f, x * 1.59576912f);
      return x * sigmoid16(u);
    }
  }
  return x;
}

static void activate(cb_activation kind, float *x, size_t count) {
  for (size_t i = 0; i < count; i += CB_LANES) store(x + i, activated(kind, load(x + i)));
}

static void softmax(float *x, size_t count) {
  const v16 total = softmax_row(x, count, 1.0f);
  for (size_t i = 0; i < count; i += CB_LANES) store(x + i, load(x + i) / total);
}

static void greatest(const float *x, size_t rows, size_t width, float *out) {
  for (size_t i = 0; i < width; i += CB_LANES) {
    v16 most = load(x + i);
    for (size_t r = 1; r < rows; r++) {
      v16 v = load(x + r * width + i);
      most = v > most ? v : most;
    }
    store(out + i, most);
  }
}

// A row of scores and their bias by distance: x = scale·x + bias.
INLINE void bias_row(float *row, size_t count, float scale, const float *bias) {
  size_t i = 0;
  for (; i + CB_LANES <= count; i += CB_LANES) store(row + i, fma16(load(row + i), (v16)scale, load(bias + i)));
  for (; i < count; i++) row[i] = __builtin_fmaf(row[i], scale, bias[i]);
}

// The same of scores that are exponents of two: x = x + bias · log₂ e.
INLINE void distance_row(float *row, size_t count, const float *bias) {
  const float factor = 1.44269504f;
  size_t i = 0;
  for (; i + CB_LANES <= count; i += CB_LANES) store(row + i, fma16(load(bias + i), (v16)factor, load(row + i)));
  for (; i < count; i++) row[i] = __builtin_fmaf(bias[i], factor, row[i]);
}
