// The int8 products, included by kernels_template.h for each instruction set. The including file defines
// CB_QUAD(sum, x, w), which adds four products of unsigned by signed bytes to each of sixteen 32-bit lanes, exactly,
// and CB_QROWS, the rows of its micro-kernel.
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

// x · Φ(x) to 2e-4 in absolute terms, a fortieth of a step of the bytes that it is rounded to next.
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

// Each row by itself: q = round(x / scale) + zero in 0…255, with the row's least and greatest value (and 0) at the ends.
INLINE void quantize_rows(const float *x, size_t rows, size_t width, const float *factor, uint8_t *q, cb_row *row) {
  for (size_t r = 0; r < rows; r++, x += width, q += width) {
    v16 low = 0.0f, high = 0.0f;
    for (size_t i = 0; i < width; i += CB_LANES) {
      v16 v = factor ? load(x + i) * load(factor + i) : load(x + i);
      low = v < low ? v : low;
      high = v > high ? v : high;
    }
    const float least = -max16(-low), most = max16(high), span = most - least;
    const float step = span / 255.0f, inverse = span > 0.0f ? 255.0f / span : 0.0f;
    const float magic = 12582912.0f;  // 1.5 · 2²³: adding it rounds to an integer
    const float zero = (-least * inverse + magic) - magic;
    row[r] = (cb_row){step, (int32_t)zero};
    for (size_t i = 0; i < width; i += CB_LANES) {
      v16 v = factor ? load(x + i) * load(factor + i) : load(x + i);
      v = fma16(v, (v16)inverse, (v16)zero);
      v = v > 255.0f ? (v16)255.0f : v;
      v = v > 0.0f ? v : (v16)0.0f;  // also what is not a number, which must not reach the conversion
      v = v + magic;
      v16i bits;
      memcpy(&bits, &v, sizeof bits);
      v16c bytes = __builtin_convertvector(bits & 0xff, v16c);
      memcpy(q + i, &bytes, sizeof bytes);
    }
  }
}

static void quantize(const float *x, size_t rows, size_t width, const float *factor, uint8_t *q, cb_row *row) {
  if (factor)
    quantize_rows(x, rows, width, factor, q, row);
  else
    quantize_rows(x, rows, width, NULL, q, row);
}

// The last step of one row of one panel.
INLINE void finish_panel(const cb_epilogue kind, v16i sum, cb_row row, const cb_int8_weight *w, size_t output,
                         const float *bias, float *y) {
  const v16i total = *(const v16iu *)(w->sums + output);
  const v16 d = __builtin_convertvector(sum - row.zero * total, v16);
  v16 v = fma16(d, load(w->scales + output) * row.step, load(bias + output));
  if (kind == CB_GELU) v = gelu_coarse16(v);
  if (kind == CB_ADD) v += load(y);
  store(y, v);
}

INLINE void micro8(const int mr, const cb_epilogue kind, const uint8_t *q, const cb_row *row, const cb_int8_weight *w,
                   size_t output, const float *bias, float *y, size_t ldy) {
  const size_t inputs = w->inputs;
  const int8_t *b = w->packed + output * inputs;
  v16i sum[CB_QROWS];
  UNROLL for (int i = 0; i < mr; i++) sum[i] = 0;
  for (size_t k = 0; k < inputs; k += 4) {
    const v64c four = *(const v64cu *)(b + k * CB_LANES);
    UNROLL for (int i = 0; i < mr; i++) {
      int32_t bytes;
      memcpy(&bytes, q + (size_t)i * inputs + k, sizeof bytes);
      sum[i] = CB_QUAD(sum[i], bytes, four);
    }
  }
  UNROLL for (int i = 0; i < mr; i++) finish_panel(kind, sum[i], row[i], w, output, bias, y + (size_t)i * ldy);
}

// One panel of weights over all rows of a strip, in falling block sizes.
INLINE void panel8(const cb_epilogue kind, const uint8_t *q, const cb_row *row, size_t rows, const cb_int8_weight *w,
                   size_t output, const float *bias, float *y, size_t ldy) {
  size_t i = 0;
#define CB_BLOCK(n) \
  if (n <= CB_QROWS) \
    for (; i + n <= rows; i += n) \
      micro8(n < CB_QROWS ? n : CB_QROWS, kind, q + i * w->inputs, row + i, w, output, bias, y + i * ldy, ldy);
  CB_BLOCK(24) CB_BLOCK(8) CB_BLOCK(4) CB_BLOCK(2) CB_BLOCK(1)
#undef CB_BLOCK
}

static void linear8(const uint8_t *q, const cb_row *row, size_t rows, const cb_int8_weight *w, const float *bias,
                    cb_epilogue kind, float *y, size_t ldy) {
  const size_t strip = 192;
  for (size_t i = 0; i < rows; i += strip) {
    const size_t count = rows - i < strip ? rows - i : strip;
    for (size_t o = 0; o < w->outputs; o += CB_LANES) {
      const uint8_t *x = q + i * w->inputs;
      float *out = y + i * ldy + o;
      switch (kind) {
        case CB_BIAS: panel8(CB_BIAS, x, row + i, count, w, o, bias, out, ldy); break;
        case CB_GELU: panel8(CB_GELU, x, row + i, count, w, o, bias, out, ldy); break;
        case CB_ADD: panel8(CB_ADD, x, row + i, count, w, o, bias, out, ldy); break;
      }
    }
  }
}
