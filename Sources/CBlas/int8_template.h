// The int8 products, included by kernels_template.h for each instruction set. The including file defines
// CB_QUAD(sum, x, w), which adds four products of unsigned by signed bytes to each of sixteen 32-bit lanes, exactly, and
// CB_QROWS and CB_QPANELS, the block of its micro-kernel. With CB_QUAD_SPLIT it has quad8, the same for eight lanes, of which
// quad16 is made.
//
// Integer sums are exact, so their order is free; what follows them (scale, zero point, bias, GELU, residual) is one
// fixed chain of float operations for each element, as everywhere here.

typedef int32_t v16i __attribute__((ext_vector_type(CB_LANES)));
typedef int32_t v16iu __attribute__((ext_vector_type(CB_LANES), aligned(4)));
typedef int8_t v64c __attribute__((ext_vector_type(4 * CB_LANES)));
typedef int8_t v64cu __attribute__((ext_vector_type(4 * CB_LANES), aligned(1)));
typedef uint8_t v16c __attribute__((ext_vector_type(CB_LANES)));

#if defined(CB_QUAD_SPLIT)
INLINE v16i quad16(v16i sum, int32_t x, v64c w) {
  __m256i s[2], b[2];
  memcpy(s, &sum, sizeof s);
  memcpy(b, &w, sizeof b);
  const __m256i four = _mm256_set1_epi32(x);
  s[0] = quad8(s[0], four, b[0]);
  s[1] = quad8(s[1], four, b[1]);
  memcpy(&sum, s, sizeof s);
  return sum;
}
#else
INLINE v16i quad16(v16i sum, int32_t x, v64c w) {
  v16i words;
  memcpy(&words, &w, sizeof words);
  UNROLL for (int byte = 0; byte < 4; byte++)
    sum += ((words << (24 - 8 * byte)) >> 24) * ((x >> 8 * byte) & 0xff);
  return sum;
}
#endif

// Each row by itself: q = round(x / scale) + zero in 0…255, with the row's least and greatest value (and 0) at the ends.
INLINE v16 activation16(const void *x, const bool half, size_t row, size_t i, const float *factor) {
  v16 v = half ? load_half((const uint16_t *)x + row + i) : load((const float *)x + row + i);
  return factor ? v * load(factor + i) : v;
}

// The lowest byte of each lane.
INLINE v16c narrow16(v16i v) {
#if defined(CB_NARROW16)
  return CB_NARROW16(v);
#else
  return __builtin_convertvector(v & 0xff, v16c);
#endif
}

// n rows side by side; n is a constant at every call.
INLINE void quantize_together(const int n, const void *x, const bool half, size_t width, const float *factor,
                              uint8_t *q, cb_row *row) {
  v16 low[CB_TOGETHER], high[CB_TOGETHER], wrong[CB_TOGETHER], inverse[CB_TOGETHER], zero[CB_TOGETHER];
  UNROLL for (int r = 0; r < n; r++) low[r] = high[r] = wrong[r] = 0.0f;
  for (size_t i = 0; i < width; i += CB_LANES)
    UNROLL for (int r = 0; r < n; r++) {
      v16 v = activation16(x, half, (size_t)r * width, i, factor);
      wrong[r] = fma16(v, (v16)0.0f, wrong[r]);  // NaN where it is infinite or no number: comparisons pass over a NaN
      low[r] = v < low[r] ? v : low[r];
      high[r] = v > high[r] ? v : high[r];
    }
  const float magic = 12582912.0f;  // 1.5 · 2²³: adding it rounds to an integer
  UNROLL for (int r = 0; r < n; r++) {
    const float least = -max16(-low[r]), most = max16(high[r]), span = most - least;
    const float step = span / 255.0f + sum16(wrong[r]), scale = span > 0.0f ? 255.0f / span : 0.0f;
    const float offset = (-least * scale + magic) - magic;
    row[r] = (cb_row){step, offset == offset ? (int32_t)offset : 0};
    inverse[r] = scale;
    zero[r] = offset;
  }
  for (size_t i = 0; i < width; i += CB_LANES)
    UNROLL for (int r = 0; r < n; r++) {
      v16 v = activation16(x, half, (size_t)r * width, i, factor);
      v = fma16(v, inverse[r], zero[r]);
      v = v > 255.0f ? (v16)255.0f : v;
      v = v > 0.0f ? v : (v16)0.0f;  // also what is not a number, which must not reach the conversion
      v = v + magic;
      v16i bits;
      memcpy(&bits, &v, sizeof bits);
      const v16c bytes = narrow16(bits);
      memcpy(q + (size_t)r * width + i, &bytes, sizeof bytes);
    }
}

INLINE void quantize_rows(const void *x, const bool half, size_t rows, size_t width, const float *factor, uint8_t *q,
                          cb_row *row) {
  const size_t bytes = width * (half ? sizeof(uint16_t) : sizeof(float));
  size_t r = 0;
  for (; r + CB_TOGETHER <= rows; r += CB_TOGETHER)
    quantize_together(CB_TOGETHER, (const char *)x + r * bytes, half, width, factor, q + r * width, row + r);
  for (; r < rows; r++)
    quantize_together(1, (const char *)x + r * bytes, half, width, factor, q + r * width, row + r);
}

static void quantize(const float *x, size_t rows, size_t width, const float *factor, uint8_t *q, cb_row *row) {
  if (factor)
    quantize_rows(x, false, rows, width, factor, q, row);
  else
    quantize_rows(x, false, rows, width, NULL, q, row);
}

static void quantize_half(const uint16_t *x, size_t rows, size_t width, const float *factor, uint8_t *q, cb_row *row) {
  if (factor)
    quantize_rows(x, true, rows, width, factor, q, row);
  else
    quantize_rows(x, true, rows, width, NULL, q, row);
}

// The last step of one row of one panel: step·scale·(sum − zero·total) + bias, the zero point's share as a float.
INLINE void finish_panel(const cb_epilogue kind, v16i sum, cb_row row, v16 scale, v16 total, v16 bias, void *y) {
  const v16 offset = fma16(total, (v16)(-(float)row.zero * row.step), bias);
  v16 v = fma16(__builtin_convertvector(sum, v16), scale * row.step, offset);
  switch (kind) {
    case CB_BIAS: store(y, v); break;
    case CB_GELU: store(y, gelu_coarse16(v)); break;
    case CB_ADD: store(y, load(y) + v); break;
    case CB_BIAS_BF16: store_tiny_half(y, v); break;
    case CB_GELU_BF16: store_tiny_half(y, gelu_coarse16(v)); break;
  }
}

INLINE void micro8(const int mr, const int np, const cb_epilogue kind, const uint8_t *q, const cb_row *row,
                   const cb_int8_weight *w, size_t output, const float *bias, char *y, size_t ldy) {
  const size_t inputs = w->inputs, panel = inputs * CB_LANES;
  const int8_t *b = w->packed + output * inputs;
  v16i sum[CB_QROWS][CB_QPANELS];
  UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < np; j++) sum[i][j] = 0;
  for (size_t k = 0; k < inputs; k += 4) {
    v64c four[CB_QPANELS];
    UNROLL for (int j = 0; j < np; j++) four[j] = *(const v64cu *)(b + (size_t)j * panel + k * CB_LANES);
    UNROLL for (int i = 0; i < mr; i++) {
      int32_t bytes;
      memcpy(&bytes, q + (size_t)i * inputs + k, sizeof bytes);
      UNROLL for (int j = 0; j < np; j++) sum[i][j] = CB_QUAD(sum[i][j], bytes, four[j]);
    }
  }
  const size_t size = kind == CB_BIAS_BF16 || kind == CB_GELU_BF16 ? sizeof(uint16_t) : sizeof(float);
  UNROLL for (int j = 0; j < np; j++) {
    const size_t o = output + (size_t)j * CB_LANES;
    const v16 scale = load(w->scales + o);
    const v16 total = __builtin_convertvector(*(const v16iu *)(w->sums + o), v16) * scale;
    const v16 offset = load(bias + o);
    UNROLL for (int i = 0; i < mr; i++)
      finish_panel(kind, sum[i][j], row[i], scale, total, offset, y + (size_t)i * ldy + (size_t)j * CB_LANES * size);
  }
}

// Panels of weights over all rows of a strip, in falling block sizes. `ldy` in bytes.
INLINE void panels8(const int np, const cb_epilogue kind, const uint8_t *q, const cb_row *row, size_t rows,
                    const cb_int8_weight *w, size_t output, const float *bias, char *y, size_t ldy) {
  size_t i = 0;
#define CB_BLOCK(n) \
  if (n <= CB_QROWS) \
    for (; i + n <= rows; i += n) \
      micro8(n < CB_QROWS ? n : CB_QROWS, np, kind, q + i * w->inputs, row + i, w, output, bias, y + i * ldy, ldy);
  CB_BLOCK(12) CB_BLOCK(8) CB_BLOCK(6) CB_BLOCK(4) CB_BLOCK(2) CB_BLOCK(1)
#undef CB_BLOCK
}

static void linear8(const uint8_t *q, const cb_row *row, size_t rows, const cb_int8_weight *w, const float *bias,
                    cb_epilogue kind, void *y, size_t ldy) {
  const size_t strip = 192;
  const size_t size = kind == CB_BIAS_BF16 || kind == CB_GELU_BF16 ? sizeof(uint16_t) : sizeof(float);
  for (size_t i = 0; i < rows; i += strip) {
    const size_t count = rows - i < strip ? rows - i : strip;
    for (size_t o = 0; o < w->outputs;) {
      const int np = w->outputs - o >= CB_QPANELS * CB_LANES ? CB_QPANELS : 1;
      const uint8_t *x = q + i * w->inputs;
      char *out = (char *)y + (i * ldy + o) * size;
      switch (kind) {
#define CB_CASE(kind) \
  case kind: \
    if (np == 1) \
      panels8(1, kind, x, row + i, count, w, o, bias, out, ldy * size); \
    else \
      panels8(CB_QPANELS, kind, x, row + i, count, w, o, bias, out, ldy * size); \
    break;
        CB_CASE(CB_BIAS) CB_CASE(CB_GELU) CB_CASE(CB_ADD) CB_CASE(CB_BIAS_BF16) CB_CASE(CB_GELU_BF16)
#undef CB_CASE
      }
      o += (size_t)np * CB_LANES;
    }
  }
}
