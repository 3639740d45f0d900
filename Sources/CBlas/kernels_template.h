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

// The one order in which sixteen lanes are joined.
INLINE float sum16(v16 v) {
  float s[CB_LANES];
  memcpy(s, &v, sizeof s);
  for (int half = CB_LANES / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) s[i] += s[i + half];
  return s[0];
}

INLINE float max16(v16 v) {
  float m[CB_LANES];
  memcpy(m, &v, sizeof m);
  for (int i = 1; i < CB_LANES; i++) m[0] = m[i] > m[0] ? m[i] : m[0];
  return m[0];
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

// 1 + erf(z). Inside |z| ≤ 1 a polynomial in z²; outside, erfc(t) = exp(−p(t)), so that the far negative side
// keeps its relative precision. Both fitted at Chebyshev nodes; erfc(5.2) is below anything that a float sum notices.
INLINE v16 one_plus_erf16(v16 z) {
  v16 s = z * z;
  v16 p = -9.673590639e-06f;
  p = fma16(p, s, (v16)1.126825383e-04f);
  p = fma16(p, s, (v16)-8.484396540e-04f);
  p = fma16(p, s, (v16)5.221053412e-03f);
  p = fma16(p, s, (v16)-2.686543831e-02f);
  p = fma16(p, s, (v16)1.128378262e-01f);
  p = fma16(p, s, (v16)-3.761263848e-01f);
  p = fma16(p, s, (v16)1.283791671e-01f);
  v16 near = 1.0f + fma16(p, z, z);

  v16 t = __builtin_elementwise_abs(z);
  t = t > 5.2f ? (v16)5.2f : t;
  v16 q = 1.067587269e-07f;
  q = fma16(q, t, (v16)-4.009576871e-06f);
  q = fma16(q, t, (v16)6.891795334e-05f);
  q = fma16(q, t, (v16)-7.219442154e-04f);
  q = fma16(q, t, (v16)5.187750326e-03f);
  q = fma16(q, t, (v16)-2.736913797e-02f);
  q = fma16(q, t, (v16)1.114366291e-01f);
  q = fma16(q, t, (v16)6.306175382e-01f);
  q = fma16(q, t, (v16)1.130841337e+00f);
  q = fma16(q, t, (v16)-4.516858092e-04f);
  v16 complement = exp16(-q);
  v16 far = z > 0.0f ? 2.0f - complement : complement;
  return s <= 1.0f ? near : far;
}

// C (mr × np·16) = A (mr × inputs) · panels + bias. mr and np are constants at every call, so all of it unrolls and
// `sum` lives in registers.
INLINE void micro(const int mr, const int np, size_t inputs, const float *a, size_t lda, const float *b,
                  const float *bias, float *c, size_t ldc) {
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
    UNROLL for (int i = 0; i < mr; i++) store(c + (size_t)i * ldc + (size_t)j * CB_LANES, sum[i][j] + offset);
  }
}

// A block narrower than CB_ROWS: the same chain of operations for each of its rows.
INLINE void rows_below_block(const int np, size_t rows, size_t inputs, const float *a, size_t lda, const float *b,
                             const float *bias, float *c, size_t ldc) {
  switch (rows) {
#define CB_CASE(n) case n: micro(n < CB_ROWS ? n : CB_ROWS, np, inputs, a, lda, b, bias, c, ldc); break;
    CB_CASE(1) CB_CASE(2) CB_CASE(3) CB_CASE(4) CB_CASE(5) CB_CASE(6)
    CB_CASE(7) CB_CASE(8) CB_CASE(9) CB_CASE(10) CB_CASE(11)
#undef CB_CASE
    default: break;
  }
}

INLINE void row_blocks(const int np, size_t rows, size_t inputs, const float *a, size_t lda, const float *b,
                       const float *bias, float *c, size_t ldc) {
  size_t i = 0;
  for (; i + CB_ROWS <= rows; i += CB_ROWS) micro(CB_ROWS, np, inputs, a + i * lda, lda, b, bias, c + i * ldc, ldc);
  rows_below_block(np, rows - i, inputs, a + i * lda, lda, b, bias, c + i * ldc, ldc);
}

// Rows in strips that stay in the second-level cache while every panel passes over them.
static void linear(const float *x, size_t rows, size_t inputs, size_t ldx, const float *packed, size_t outputs,
                   const float *bias, float *y, size_t ldy) {
  const size_t strip = 20 * CB_ROWS, panels = outputs / CB_LANES, panel = inputs * CB_LANES;
  for (size_t i = 0; i < rows; i += strip) {
    size_t count = rows - i < strip ? rows - i : strip;
    size_t j = 0;
    for (; j + CB_PANELS <= panels; j += CB_PANELS)
      row_blocks(CB_PANELS, count, inputs, x + i * ldx, ldx, packed + j * panel, bias ? bias + j * CB_LANES : NULL,
                 y + i * ldy + j * CB_LANES, ldy);
    for (; j < panels; j++)
      row_blocks(1, count, inputs, x + i * ldx, ldx, packed + j * panel, bias ? bias + j * CB_LANES : NULL,
                 y + i * ldy + j * CB_LANES, ldy);
  }
}

// One row of scores becomes weights: exp(scale·(s − max)) / sum, and zeros from `count` up to the row's padded end.
INLINE void softmax_row(float *row, size_t count, size_t padded, float scale) {
  for (size_t i = count; i < padded; i++) row[i] = -INFINITY;
  v16 highest = load(row);
  for (size_t i = CB_LANES; i < padded; i += CB_LANES) {
    v16 v = load(row + i);
    highest = v > highest ? v : highest;
  }
  const v16 top = max16(highest);
  v16 total = 0.0f;
  for (size_t i = 0; i < padded; i += CB_LANES) {
    v16 v = load(row + i);
    v16 e = exp16((v - top) * scale);
    e = v == -INFINITY ? (v16)0.0f : e;
    total += e;
    store(row + i, e);
  }
  const v16 sum = sum16(total);
  for (size_t i = 0; i < padded; i += CB_LANES) store(row + i, load(row + i) / sum);
}

static void attention(const float *qkv, size_t tokens, size_t heads, size_t d, float scale, float *scratch,
                      float *out) {
  const size_t width = heads * d, ld = 3 * width;
  const size_t padded = (tokens + CB_LANES - 1) / CB_LANES * CB_LANES;
  float *keys = scratch, *values = keys + padded * d, *scores = values + tokens * d;  // scores: (tokens, padded)
  for (size_t h = 0; h < heads; h++) {
    const float *q = qkv + h * d, *k = q + width, *v = k + width;
    cb_pack(k, tokens, d, ld, keys);
    for (size_t p = 0; p < d; p += CB_LANES)  // V as panels of its columns: no transposition is needed
      for (size_t t = 0; t < tokens; t++) store(values + p * tokens + t * CB_LANES, load(v + t * ld + p));
    linear(q, tokens, d, ld, keys, padded, NULL, scores, padded);
    for (size_t t = 0; t < tokens; t++) softmax_row(scores + t * padded, tokens, padded, scale);
    linear(scores, tokens, tokens, padded, values, d, NULL, out + h * d, width);
  }
}

static void add_layernorm(float *x, const float *residual, size_t rows, size_t width, const float *gain,
                          const float *bias, float epsilon) {
  for (size_t r = 0; r < rows; r++, x += width) {
    v16 total = 0.0f;
    for (size_t i = 0; i < width; i += CB_LANES) {
      v16 v = load(x + i);
      if (residual) v += load(residual + r * width + i);
      store(x + i, v);
      total += v;
    }
    const v16 mean = sum16(total) / (float)width;
    v16 squares = 0.0f;
    for (size_t i = 0; i < width; i += CB_LANES) {
      v16 d = load(x + i) - mean;
      squares = fma16(d, d, squares);
    }
    const v16 deviation = sqrtf(sum16(squares) / (float)width + epsilon);
    for (size_t i = 0; i < width; i += CB_LANES)
      store(x + i, fma16((load(x + i) - mean) / deviation, load(gain + i), load(bias + i)));
  }
}

static void gelu(float *x, size_t count) {
  for (size_t i = 0; i < count; i += CB_LANES) {
    v16 v = load(x + i);
    store(x + i, 0.5f * v * one_plus_erf16(v * 0.707106781f));
  }
}

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

const cb_kernels CB_TABLE = {CB_NAME, linear, attention, add_layernorm, gelu, embed, mean, l2_normalize};
