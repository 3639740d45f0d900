// The kernels, written once in clang's vector types and compiled for each instruction set (CBlas.h says why the bits
// agree). The including file defines CB_TABLE, CB_NAME, CB_ROWS and CB_PANELS (the micro-kernel's block).

#include <math.h>
#include <string.h>

#include "kernels.h"

// A product and a sum are fused where it says fma, and nowhere else, on every target.
#pragma STDC FP_CONTRACT OFF
// Vectors pass only between functions that are always inlined: how a call would carry them does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float v16 __attribute__((ext_vector_type(CB_LANES)));
typedef float v16u __attribute__((ext_vector_type(CB_LANES), aligned(4)));
typedef int32_t i16 __attribute__((ext_vector_type(CB_LANES)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE v16 load(const float *p) { return *(const v16u *)p; }
INLINE void store(float *p, v16 v) { *(v16u *)p = v; }
INLINE v16 fma16(v16 a, v16 b, v16 c) { return __builtin_elementwise_fma(a, b, c); }

typedef float v8 __attribute__((ext_vector_type(CB_LANES / 2)));
typedef float v4 __attribute__((ext_vector_type(CB_LANES / 4)));

// The one order in which sixteen lanes are joined: upper half onto lower half, until one is left.
INLINE float sum16(v16 v) {
  v8 e = v.lo + v.hi;
  v4 q = e.lo + e.hi;
  return (q.x + q.z) + (q.y + q.w);
}

INLINE float max16(v16 v) {
  v8 e = v.lo > v.hi ? v.lo : v.hi;
  v4 q = e.lo > e.hi ? e.lo : e.hi;
  float x = q.x > q.z ? q.x : q.z, y = q.y > q.w ? q.y : q.w;
  return x > y ? x : y;
}

// eˣ for x ≤ 88, about one unit in the last place; below −87 it stays at e⁻⁸⁷.
// x = n·ln 2 + r; eʳ = 1 + r + r²·q(r), q fitted at Chebyshev nodes on |r| ≤ ln 2 / 2.
INLINE v16 exp16(v16 x) {
  x = x < -87.0f ? (v16)-87.0f : x;
  const v16 magic = 12582912.0f;  // 1.5 · 2²³: adding it rounds to an integer
  v16 n = fma16(x, (v16)1.44269504f, magic) - magic;
  v16 r = fma16(n, (v16)-0.693145752f, x);
  r = fma16(n, (v16)-1.42860677e-6f, r);
  v16 q = 1.393365360e-03f;
  q = fma16(q, r, (v16)8.363181545e-03f);
  q = fma16(q, r, (v16)4.166646488e-02f);
  q = fma16(q, r, (v16)1.666657697e-01f);
  q = fma16(q, r, (v16)5.000000013e-01f);
  v16 y = fma16(q, r * r, r) + 1.0f;
  i16 exponent = (__builtin_convertvector(n, i16) + 127) << 23;
  v16 power;
  memcpy(&power, &exponent, sizeof power);
  return y * power;
}

// 1 + erf(z) as erfc(−z): erfc(t) = exp(−t·p(t)) for t ≥ 0, p fitted so that erfc is within 3e-8 (and within 5e-4 of its
// own size at 5.2, where it is below anything that a float sum notices).
INLINE v16 one_plus_erf16(v16 z) {
  v16 t = __builtin_elementwise_abs(z);
  t = t > 5.2f ? (v16)5.2f : t;
  v16 p = 6.008465903e-07f;
  p = fma16(p, t, (v16)-1.316581347e-05f);
  p = fma16(p, t, (v16)1.215925804e-04f);
  p = fma16(p, t, (v16)-6.049646763e-04f);
  p = fma16(p, t, (v16)1.568136271e-03f);
  p = fma16(p, t, (v16)-2.085733468e-05f);
  p = fma16(p, t, (v16)-1.925257593e-02f);
  p = fma16(p, t, (v16)1.028137505e-01f);
  p = fma16(p, t, (v16)6.366135478e-01f);
  p = fma16(p, t, (v16)1.128379464e+00f);
  v16 complement = exp16(-(t * p));
  return z > 0.0f ? 2.0f - complement : complement;
}

// x · Φ(x) to 2e-4 in absolute terms, a fraction of what rounding it to bytes or bfloat16 takes next.
// Φ(x) = ½ + u·p(u²), u = x cut to ±4; fitted so that it reaches 0 and 1 there.
INLINE v16 gelu_coarse16(v16 x) {
  v16 u = x > 4.0f ? (v16)4.0f : x;
  u = u < -4.0f ? (v16)-4.0f : u;
  const v16 s = u * u;
  v16 p = 2.258773093e-08f;
  p = fma16(p, s, (v16)-1.588800928e-06f);
  p = fma16(p, s, (v16)4.776332816e-05f);
  p = fma16(p, s, (v16)-8.121816784e-04f);
  p = fma16(p, s, (v16)8.763661074e-03f);
  p = fma16(p, s, (v16)-6.455434309e-02f);
  p = fma16(p, s, (v16)3.978702157e-01f);
  return x * fma16(p, u, (v16)0.5f);
}

// x = x · Φ(x) over a tile that was just stored, and is still in the first-level cache.
static void gelu_tile(float *x, size_t rows, size_t width, size_t ld) {
  for (size_t r = 0; r < rows; r++, x += ld)
    for (size_t i = 0; i < width; i += CB_LANES) {
      v16 v = load(x + i);
      store(x + i, 0.5f * v * one_plus_erf16(v * 0.707106781f));
    }
}

// C (mr × np·16) = A (mr × inputs) · panels + bias, and the epilogue. mr and np are constants at every call, so all of
// it unrolls and `sum` lives in registers.
INLINE void micro(const int mr, const int np, size_t inputs, const float *a, size_t lda, const float *b,
                  const float *bias, cb_epilogue kind, float *c, size_t ldc) {
  const size_t panel = inputs * CB_LANES;
  v16 sum[CB_ROWS][CB_PANELS];
  UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < np; j++) sum[i][j] = 0.0f;
  for (size_t k = 0; k < inputs; k++) {
    v16 w[CB_PANELS];
    UNROLL for (int j = 0; j < np; j++) w[j] = load(b + (size_t)j * panel + k * CB_LANES);
    UNROLL for (int i = 0; i < mr; i++) {
      v16 x = a[(size_t)i * lda + k];
      UNROLL for (int j = 0; j < np; j++) sum[i][j] = fma16(x, w[j], sum[i][j]);
    }
  }
  UNROLL for (int j = 0; j < np; j++) {
    v16 offset = bias ? load(bias + j * CB_LANES) : (v16)0.0f;
    UNROLL for (int i = 0; i < mr; i++) {
      float *y = c + (size_t)i * ldc + (size_t)j * CB_LANES;
      v16 v = sum[i][j] + offset;
      store(y, kind == CB_ADD ? load(y) + v : v);
    }
  }
  if (kind == CB_GELU) gelu_tile(c, (size_t)mr, (size_t)np * CB_LANES, ldc);
}

// A block narrower than CB_ROWS: the same chain of operations for each of its rows.
INLINE void rows_below_block(const int np, size_t rows, size_t inputs, const float *a, size_t lda, const float *b,
                             const float *bias, cb_epilogue kind, float *c, size_t ldc) {
  switch (rows) {
#define CB_CASE(n) case n: micro(n < CB_ROWS ? n : CB_ROWS, np, inputs, a, lda, b, bias, kind, c, ldc); break;
    CB_CASE(1) CB_CASE(2) CB_CASE(3) CB_CASE(4) CB_CASE(5) CB_CASE(6)
    CB_CASE(7) CB_CASE(8) CB_CASE(9) CB_CASE(10) CB_CASE(11)
#undef CB_CASE
    default: break;
  }
}

INLINE void row_blocks(const int np, size_t rows, size_t inputs, const float *a, size_t lda, const float *b,
                       const float *bias, cb_epilogue kind, float *c, size_t ldc) {
  size_t i = 0;
  for (; i + CB_ROWS <= rows; i += CB_ROWS)
    micro(CB_ROWS, np, inputs, a + i * lda, lda, b, bias, kind, c + i * ldc, ldc);
  rows_below_block(np, rows - i, inputs, a + i * lda, lda, b, bias, kind, c + i * ldc, ldc);
}

// Rows in strips that stay in the second-level cache while every panel passes over them.
static void linear(const float *x, size_t rows, size_t inputs, size_t ldx, const float *packed, size_t outputs,
                   const float *bias, cb_epilogue kind, float *y, size_t ldy) {
  const size_t strip = 20 * CB_ROWS, panels = outputs / CB_LANES, panel = inputs * CB_LANES;
  for (size_t i = 0; i < rows; i += strip) {
    size_t count = rows - i < strip ? rows - i : strip;
    size_t j = 0;
    for (; j + CB_PANELS <= panels; j += CB_PANELS)
      row_blocks(CB_PANELS, count, inputs, x + i * ldx, ldx, packed + j * panel, bias ? bias + j * CB_LANES : NULL,
                 kind, y + i * ldy + j * CB_LANES, ldy);
    for (; j < panels; j++)
      row_blocks(1, count, inputs, x + i * ldx, ldx, packed + j * panel, bias ? bias + j * CB_LANES : NULL,
                 kind, y + i * ldy + j * CB_LANES, ldy);
  }
}

// The lanes from `count` on replaced by `other`.
INLINE v16 first_lanes(v16 v, size_t count, float other) {
  const i16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return lane < (i16)(int32_t)count ? v : (v16)other;
}

// The greatest of a row of scores.
INLINE float highest_of(const float *row, size_t count) {
  const size_t whole = count / CB_LANES * CB_LANES, rest = count - whole;
  v16 highest = -INFINITY;
  for (size_t i = 0; i < whole; i += CB_LANES) {
    v16 v = load(row + i);
    highest = v > highest ? v : highest;
  }
  if (rest) {
    v16 v = first_lanes(load(row + whole), rest, -INFINITY);
    highest = v > highest ? v : highest;
  }
  return max16(highest);
}

// One row of scores becomes weights that are not yet normalised: exp(scale·(s − max)), and zeros from `count` up to the
// row's padded end. Returns their sum.
INLINE float softmax_row(float *row, size_t count, float scale) {
  const size_t whole = count / CB_LANES * CB_LANES, rest = count - whole;
  const float top = highest_of(row, count);
  v16 total = 0.0f;
  for (size_t i = 0; i < whole; i += CB_LANES) {
    v16 e = exp16((load(row + i) - top) * scale);
    total += e;
    store(row + i, e);
  }
  if (rest) {
    v16 e = first_lanes(exp16((first_lanes(load(row + whole), rest, top) - top) * scale), rest, 0.0f);
    total += e;
    store(row + whole, e);
  }
  return sum16(total);
}

#include "activations_template.h"

static void attention(const float *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias,
                      float *scratch, float *out) {
  const size_t tokens = part.tokens, d = part.head_width, width = part.heads * d, ld = 3 * width;
  const size_t padded = (tokens + CB_LANES - 1) / CB_LANES * CB_LANES;
  float *keys = scratch, *values = keys + padded * d, *scores = values + tokens * d;  // scores: (CB_ROWS, padded)
  for (size_t h = part.first_head; h < part.end_head; h++) {
    const float *q = qkv + h * d, *k = q + width, *v = k + width;
    cb_pack(k, tokens, d, ld, keys);
    for (size_t p = 0; p < d; p += CB_LANES)  // V as panels of its columns: no transposition is needed
      for (size_t t = 0; t < tokens; t++) store(values + p * tokens + t * CB_LANES, load(v + t * ld + p));
    // A few queries at a time, so that their scores stay in the first-level cache.
    for (size_t t = 0; t < tokens; t += CB_ROWS) {
      const size_t rows = tokens - t < CB_ROWS ? tokens - t : CB_ROWS;
      linear(q + t * ld, rows, d, ld, keys, padded, NULL, CB_BIAS, scores, padded);
      float sums[CB_ROWS];
      for (size_t r = 0; r < rows; r++) {
        float *row = scores + r * padded;
        if (bias) bias_row(row, tokens, scale, bias->values + (2 * h + 1) * bias->limit - h - 1 - (t + r));
        sums[r] = softmax_row(row, tokens, bias ? 1.0f : scale);
      }
      linear(scores, rows, tokens, padded, values, d, NULL, CB_BIAS, out + t * width + h * d, width);
      for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < d; i += CB_LANES) {
          float *o = out + (t + r) * width + h * d + i;
          store(o, load(o) / sums[r]);
        }
    }
  }
}

// Rows whose sums are taken side by side, since each sum waits for its last addition.
#define CB_TOGETHER (CB_PANELS > 1 ? 4 : 1)

// n rows; n is a constant at every call. `divides`: by the deviation, rounded once; else by a multiplication with its
// inverse, in a tenth of the time.
INLINE void normalize_rows(const int n, const bool divides, float *x, size_t width, const cb_norm *norm) {
  v16 total[CB_TOGETHER], mean[CB_TOGETHER], squares[CB_TOGETHER], by[CB_TOGETHER];
  UNROLL for (int r = 0; r < n; r++) total[r] = squares[r] = 0.0f;
  for (size_t i = 0; i < width; i += CB_LANES)
    UNROLL for (int r = 0; r < n; r++) total[r] += load(x + (size_t)r * width + i);
  UNROLL for (int r = 0; r < n; r++) mean[r] = sum16(total[r]) / (float)width;
  for (size_t i = 0; i < width; i += CB_LANES)
    UNROLL for (int r = 0; r < n; r++) {
      const v16 d = load(x + (size_t)r * width + i) - mean[r];
      squares[r] = fma16(d, d, squares[r]);
    }
  UNROLL for (int r = 0; r < n; r++) {
    const float deviation = sqrtf(sum16(squares[r]) / (float)width + norm->epsilon);
    by[r] = divides ? deviation : 1.0f / deviation;
  }
  for (size_t i = 0; i < width; i += CB_LANES) {
    const v16 gain = load(norm->gain + i), bias = load(norm->bias + i);
    UNROLL for (int r = 0; r < n; r++) {
      float *y = x + (size_t)r * width + i;
      const v16 d = load(y) - mean[r];
      store(y, fma16(divides ? d / by[r] : d * by[r], gain, bias));
    }
  }
}

static void layernorm(float *x, size_t rows, size_t width, const float *gain, const float *bias, float epsilon) {
  const cb_norm norm = {gain, bias, epsilon};
  for (size_t r = 0; r < rows; r++) normalize_rows(1, true, x + r * width, width, &norm);
}

static void gelu(float *x, size_t count) { gelu_tile(x, 1, count, count); }

static void embed(const float *word, const float *segment, const float *position, size_t width, float *out) {
  for (size_t i = 0; i < width; i += CB_LANES)
    store(out + i, load(word + i) + load(segment + i) + load(position + i));
}

static void mean(const float *x, size_t rows, size_t width, float *out) {
  for (size_t i = 0; i < width; i += CB_LANES) {
    v16 total = load(x + i);
    for (size_t r = 1; r < rows; r++) total += load(x + r * width + i);
    store(out + i, total / (float)rows);
  }
}

static void l2_normalize(float *x, size_t width) {
  v16 squares = 0.0f;
  for (size_t i = 0; i < width; i += CB_LANES) squares = fma16(load(x + i), load(x + i), squares);
  float length = sqrtf(sum16(squares));
  const v16 divisor = length > 1e-12f ? length : 1e-12f;
  for (size_t i = 0; i < width; i += CB_LANES) store(x + i, load(x + i) / divisor);
}

#include "bf16_template.h"
#include "int8_template.h"
#include "attention8_template.h"
#include "decoder_template.h"
#include "blocks_template.h"
#include "sampling_template.h"

INLINE void layernorm_half_together(const int n, float *x, size_t width, const cb_norm *norm, uint16_t *out) {
  normalize_rows(n, false, x, width, norm);
  round_half(x, (size_t)n * width, out);
}

static void layernorm_half(float *x, size_t rows, size_t width, const cb_norm *norm, uint16_t *out) {
  size_t r = 0;
  for (; r + CB_TOGETHER <= rows; r += CB_TOGETHER)
    layernorm_half_together(CB_TOGETHER, x + r * width, width, norm, out + r * width);
  for (; r < rows; r++) layernorm_half_together(1, x + r * width, width, norm, out + r * width);
}

static void layernorm8(float *x, size_t rows, size_t width, const cb_norm *norm, const float *factor, uint8_t *q,
                       cb_row *row) {
  size_t r = 0;
  for (; r + CB_TOGETHER <= rows; r += CB_TOGETHER) {
    normalize_rows(CB_TOGETHER, false, x + r * width, width, norm);
    quantize(x + r * width, CB_TOGETHER, width, factor, q + r * width, row + r);
  }
  for (; r < rows; r++) {
    normalize_rows(1, false, x + r * width, width, norm);
    quantize(x + r * width, 1, width, factor, q + r * width, row + r);
  }
}

const cb_kernels CB_TABLE = {
    .name = CB_NAME,
    .linear = linear,
    .attention = attention,
    .layernorm = layernorm,
    .gelu = gelu,
    .embed = embed,
    .mean = mean,
    .l2_normalize = l2_normalize,
    .quantize = quantize,
    .quantize_half = quantize_half,
    .linear8 = linear8,
    .round_half = round_half,
    .linear_half = linear_half,
    .attention_half = attention_half,
    .attention8 = attention8,
    .layernorm_half = layernorm_half,
    .layernorm8 = layernorm8,
    .activate = activate,
    .softmax = softmax,
    .greatest = greatest,
    .rmsnorm = rmsnorm,
    .rotate = rotate,
    .silu_multiply = silu_multiply,
    .cache_attention = cache_attention,
    .cache_attention_half = cache_attention_half,
    .quantize_blocks = quantize_blocks,
    .linear_blocks = linear_blocks,
    .first_greatest = first_greatest,
    .exponentials = exponentials,
    .total = total,
    .draw = draw,
};
