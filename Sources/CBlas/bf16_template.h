// Products of bfloat16 pairs, and the attention in them, included by kernels_template.h for each instruction set. The
// including file may define CB_DOT2(sum, pair, w), its instruction for `dot2`, and CB_ROUND16(v), its instruction for
// rounding sixteen floats.
//
// AVX512-BF16's instruction adds the product of the odd elements and then that of the even ones, each sum rounded to
// the nearest, and takes denormal numbers for zero. A product of two bfloat16 is exact in a float, so two fused
// multiply-adds do the same, but for denormals. There are none: a number below 2⁻⁵⁶ is rounded to zero, so every product
// and every sum is a multiple of 2⁻¹²⁶, the least normal float.

typedef uint32_t v16w __attribute__((ext_vector_type(CB_LANES)));
typedef uint32_t v16wu __attribute__((ext_vector_type(CB_LANES), aligned(4)));
typedef uint16_t v16h __attribute__((ext_vector_type(CB_LANES)));
typedef uint16_t v16hu __attribute__((ext_vector_type(CB_LANES), aligned(2)));
typedef uint32_t v8wu __attribute__((ext_vector_type(CB_LANES / 2), aligned(2)));

INLINE v16w bits16(v16 v) {
  v16w bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

INLINE v16 floats16(v16w bits) {
  v16 v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

INLINE v16w words16(const uint16_t *p) { return __builtin_convertvector(*(const v16hu *)p, v16w); }
INLINE v16 load_half(const uint16_t *p) { return floats16(words16(p) << 16); }

// Sixteen floats to the nearest bfloat16, ties to even, below 2⁻⁵⁶ to zero.
INLINE void store_half(uint16_t *p, v16 v) {
  v = __builtin_elementwise_abs(v) < 0x1p-56f ? (v16)0.0f : v;
#if defined(CB_ROUND16)
  *(v16hu *)p = CB_ROUND16(v);
#else
  v16w bits = bits16(v);
  bits += 0x7fff + ((bits >> 16) & 1);
  bits = v == v ? bits : (v16w)0x7fc00000;  // adding to a NaN's bits may run over
  *(v16hu *)p = __builtin_convertvector(bits >> 16, v16h);
#endif
}

// The same, but only denormal numbers become zero: for what no product of bfloat16 reads.
INLINE void store_tiny_half(uint16_t *p, v16 v) {
#if defined(CB_ROUND16)
  *(v16hu *)p = CB_ROUND16(v);
#else
  const v16w sign = bits16(v) & 0x80000000;
  v16w bits = __builtin_elementwise_abs(v) < 0x1p-126f ? sign : bits16(v);
  bits += 0x7fff + ((bits >> 16) & 1);
  bits = v == v ? bits : (v16w)0x7fc00000;
  *(v16hu *)p = __builtin_convertvector(bits >> 16, v16h);
#endif
}

// C (mr × np·16) = A (mr × 2·pairs) · panels, as `micro` does it. `factor`, one for each row, may be null. `asks` for the
// panels that come next.
INLINE void micro_half(const int mr, const int np, size_t pairs, const uint16_t *a, size_t lda, const uint32_t *b,
                       const float *bias, const float *factor, cb_epilogue kind, void *c, size_t ldc,
                       const bool asks) {
  const size_t panel = pairs * CB_LANES;
  v16 sum[CB_ROWS][CB_PANELS];
  UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < np; j++) sum[i][j] = 0.0f;
  for (size_t k = 0; k < pairs; k++) {
    v16w w[CB_PANELS];
    UNROLL for (int j = 0; j < np; j++) w[j] = *(const v16wu *)(b + (size_t)j * panel + k * CB_LANES);
    if (asks)
      UNROLL for (int j = 0; j < np; j++) __builtin_prefetch(b + (size_t)(np + j) * panel + k * CB_LANES);
#if defined(CB_DOT2)
    UNROLL for (int i = 0; i < mr; i++) {
      uint32_t pair;
      memcpy(&pair, a + (size_t)i * lda + 2 * k, sizeof pair);
      UNROLL for (int j = 0; j < np; j++) sum[i][j] = CB_DOT2(sum[i][j], pair, w[j]);
    }
#else
    // All rows' odd elements, then all rows' even ones: fewer registers at once.
    UNROLL for (int odd = 1; odd >= 0; odd--) {
      v16 x[CB_PANELS];
      UNROLL for (int j = 0; j < np; j++) x[j] = floats16(odd ? w[j] & 0xffff0000 : w[j] << 16);
      UNROLL for (int i = 0; i < mr; i++) {
        uint32_t pair;
        memcpy(&pair, a + (size_t)i * lda + 2 * k, sizeof pair);
        const v16 y = floats16(odd ? (v16w)pair & 0xffff0000 : (v16w)pair << 16);
        UNROLL for (int j = 0; j < np; j++) sum[i][j] = fma16(y, x[j], sum[i][j]);
      }
    }
#endif
  }
  UNROLL for (int j = 0; j < np; j++) {
    v16 offset = bias ? load(bias + j * CB_LANES) : (v16)0.0f;
    UNROLL for (int i = 0; i < mr; i++) {
      const size_t place = (size_t)i * ldc + (size_t)j * CB_LANES;
      v16 v = factor ? sum[i][j] * factor[i] : sum[i][j] + offset;
      if (kind == CB_BIAS_BF16 || kind == CB_GELU_BF16)
        store_half((uint16_t *)c + place, kind == CB_GELU_BF16 ? gelu_coarse16(v) : v);
      else
        store((float *)c + place, kind == CB_ADD ? load((float *)c + place) + v : v);
    }
  }
  if (kind == CB_GELU) gelu_tile(c, (size_t)mr, (size_t)np * CB_LANES, ldc);
}

INLINE void rows_half(const int np, size_t rows, size_t pairs, const uint16_t *a, size_t lda, const uint32_t *b,
                      const float *bias, const float *factor, cb_epilogue kind, void *c, size_t ldc, const bool asks) {
  switch (rows) {
#define CB_CASE(n) \
  case n: micro_half(n < CB_ROWS ? n : CB_ROWS, np, pairs, a, lda, b, bias, factor, kind, c, ldc, asks); break;
    CB_CASE(1) CB_CASE(2) CB_CASE(3) CB_CASE(4) CB_CASE(5) CB_CASE(6)
    CB_CASE(7) CB_CASE(8) CB_CASE(9) CB_CASE(10) CB_CASE(11) CB_CASE(12)
#undef CB_CASE
    default: break;
  }
}

static void linear_half(const uint16_t *x, size_t rows, size_t inputs, const uint32_t *packed, size_t outputs,
                        const float *bias, cb_epilogue kind, void *y, size_t ldy) {
  const size_t strip = 20 * CB_ROWS, panel = inputs / 2 * CB_LANES;
  const size_t size = kind == CB_BIAS_BF16 || kind == CB_GELU_BF16 ? sizeof(uint16_t) : sizeof(float);
  for (size_t s = 0; s < rows; s += strip) {
    const size_t end = rows - s < strip ? rows : s + strip;
    for (size_t o = 0; o < outputs;) {
      const int np = outputs - o >= CB_PANELS * CB_LANES ? CB_PANELS : 1;
      const uint32_t *b = packed + o / CB_LANES * panel;
      const float *offset = bias ? bias + o : NULL;
      for (size_t i = s; i < end; i += CB_ROWS) {
        const size_t count = end - i < CB_ROWS ? end - i : CB_ROWS;
        void *c = (char *)y + (i * ldy + o) * size;
        // A single row leaves the processor time enough to look ahead by itself.
        const bool asks = i == s && count >= 4;
        if (np == 1)
          rows_half(1, count, inputs / 2, x + i * inputs, inputs, b, offset, NULL, kind, c, ldy, asks);
        else
          rows_half(CB_PANELS, count, inputs / 2, x + i * inputs, inputs, b, offset, NULL, kind, c, ldy, asks);
      }
      o += (size_t)np * CB_LANES;
    }
  }
}

static void round_half(const float *x, size_t count, uint16_t *out) {
  for (size_t i = 0; i < count; i += CB_LANES) store_half(out + i, load(x + i));
}

// 2ˣ to 8e-5 of itself, a fiftieth of what rounding to bfloat16 takes; zero below −56, as there. x ≤ 0.
INLINE v16 exp2_coarse16(v16 x) {
  const v16 magic = 12582912.0f + 127.0f;  // adding it rounds to an integer, whose last bits are then an exponent's
  const v16 t = x + magic;
  const v16 r = x - (t - magic);
  v16 p = 5.517166493e-02f;
  p = fma16(p, r, (v16)2.426111219e-01f);
  p = fma16(p, r, (v16)6.932609862e-01f);
  p = fma16(p, r, (v16)9.999280736e-01f);
  const v16 e = p * floats16(bits16(t) << 23);
  return x < -56.0f ? (v16)0.0f : e;
}

// As `softmax_row`, the weights rounded to bfloat16 in `out`, which has room for `count` up to a multiple of CB_LANES.
INLINE float softmax_half(const float *row, size_t count, float scale, uint16_t *out) {
  const size_t whole = count / CB_LANES * CB_LANES, rest = count - whole;
  const v16 factor = scale * 1.44269504f, top = -highest_of(row, count) * factor;
  v16 total = 0.0f;
  for (size_t i = 0; i < whole; i += CB_LANES) {
    v16 e = exp2_coarse16(fma16(load(row + i), factor, top));
    total += e;
    store_half(out + i, e);
  }
  if (rest) {
    v16 e = exp2_coarse16(first_lanes(fma16(load(row + whole), factor, top), rest, -100.0f));
    total += e;
    store_half(out + whole, e);
  }
  return sum16(total);
}

// Sixteen keys' pairs as a panel: panel[j][key] = row key's pair j. Keys beyond `count` are zero.
INLINE void pack_keys(const uint16_t *k, size_t count, size_t ld, size_t pairs, uint32_t *panel) {
  typedef uint32_t v8w __attribute__((ext_vector_type(8)));
  for (size_t p = 0; p < pairs; p += 8) {
    v16w v[8];
    UNROLL for (size_t r = 0; r < 8; r++) {
      const v8w low = r < count ? (v8w) * (const v8wu *)(k + r * ld + 2 * p) : (v8w)0;
      const v8w high = r + 8 < count ? (v8w) * (const v8wu *)(k + (r + 8) * ld + 2 * p) : (v8w)0;
      v[r] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
    // Both halves are transposed, 8 × 8, by exchanging blocks of 1, 2 and 4 lanes.
    UNROLL for (int i = 0; i < 8; i += 2) {
      const v16w a = v[i], b = v[i + 1];
      v[i] = __builtin_shufflevector(a, b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
      v[i + 1] = __builtin_shufflevector(a, b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
    }
    UNROLL for (int n = 0; n < 4; n++) {
      const int i = n / 2 * 4 + n % 2;
      const v16w a = v[i], b = v[i + 2];
      v[i] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      v[i + 2] = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
    UNROLL for (int i = 0; i < 4; i++) {
      const v16w a = v[i], b = v[i + 4];
      v[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
      v[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    }
    UNROLL for (int j = 0; j < 8; j++) *(v16wu *)(panel + (p + (size_t)j) * CB_LANES) = v[j];
  }
}

// Values as panels of sixteen columns, two tokens' elements side by side.
INLINE void pack_values(const uint16_t *v, size_t tokens, size_t ld, size_t d, uint32_t *panels) {
  const size_t pairs = (tokens + 1) / 2;
  for (size_t p = 0; p < pairs; p++) {
    const uint16_t *even = v + 2 * p * ld;
    for (size_t i = 0; i < d; i += CB_LANES) {
      const v16w odd = 2 * p + 1 < tokens ? words16(even + ld + i) : (v16w)0;
      *(v16wu *)(panels + (i * pairs + p * CB_LANES)) = words16(even + i) | odd << 16;
    }
  }
}

// One product of the attention: `rows` rows by all columns, panels side by side.
INLINE void product_half(size_t rows, size_t pairs, const uint16_t *a, size_t lda, const uint32_t *b, size_t columns,
                         const float *factor, cb_epilogue kind, void *c, size_t ldc) {
  const size_t size = kind == CB_BIAS_BF16 ? sizeof(uint16_t) : sizeof(float);
  size_t i = 0;
  for (; i + CB_PANELS * CB_LANES <= columns; i += CB_PANELS * CB_LANES)
    rows_half(CB_PANELS, rows, pairs, a, lda, b + i * pairs, NULL, factor, kind, (char *)c + i * size, ldc, false);
  for (; i < columns; i += CB_LANES)
    rows_half(1, rows, pairs, a, lda, b + i * pairs, NULL, factor, kind, (char *)c + i * size, ldc, false);
}

static void attention_half(const uint16_t *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias,
                           float *scratch, uint16_t *out) {
  const size_t tokens = part.tokens, d = part.head_width, width = part.heads * d, ld = 3 * width;
  const size_t padded = (tokens + CB_LANES - 1) / CB_LANES * CB_LANES;
  uint32_t *keys = (uint32_t *)scratch, *values = keys + padded * d / 2;
  float *scores = scratch + padded * d;                            // (CB_ROWS, padded)
  uint16_t *weights = (uint16_t *)(scores + CB_ROWS * padded);     // (CB_ROWS, padded)
  for (size_t h = part.first_head; h < part.end_head; h++) {
    const uint16_t *q = qkv + h * d, *k = q + width, *v = k + width;
    for (size_t t = 0; t < tokens; t += CB_LANES) pack_keys(k + t * ld, tokens - t, ld, d / 2, keys + t * d / 2);
    pack_values(v, tokens, ld, d, values);
    for (size_t t = 0; t < tokens; t += CB_ROWS) {
      const size_t rows = tokens - t < CB_ROWS ? tokens - t : CB_ROWS;
      product_half(rows, d / 2, q + t * ld, ld, keys, padded, NULL, CB_BIAS, scores, padded);
      float inverse[CB_ROWS];
      for (size_t r = 0; r < rows; r++) {
        float *row = scores + r * padded;
        if (bias) bias_row(row, tokens, scale, bias->values + (2 * h + 1) * bias->limit - h - 1 - (t + r));
        inverse[r] = 1.0f / softmax_half(row, tokens, bias ? 1.0f : scale, weights + r * padded);
      }
      product_half(rows, (tokens + 1) / 2, weights, padded, values, d, inverse, CB_BIAS_BF16, out + t * width + h * d,
                   width);
    }
  }
}
