// Products of weights in blocks, included by kernels_template.h for each instruction set. The including file defines
// CB_QUADW(sum, w, x, narrow), which adds four products of unsigned bytes of w by the signed bytes of x to each of
// sixteen 32-bit lanes, exactly (narrow: those of w are below 64), CB_WROWS and CB_WPANELS, the block of the
// micro-kernel for many rows, and CB_DROWS, the rows that are multiplied at once straight from packed panels; it may define
// CB_ANY_TYPE, for one loop that looks at the format again and again instead of one for each.
//
// Few rows read each weight once and unpack it in registers. For more rows, some inputs of a few panels are unpacked
// first, and all rows of a strip pass over them. Both add up the same numbers in the same order:
//   sum = Σ q·x − zero·Σx of 32 inputs (16 in Q6_K), an exact integer
//   total = fma(sum, scale · step, total), and then, with minima, total = fma(minimum, step · Σx, total)

#include "blocks_layout.h"

typedef uint16_t v16s __attribute__((ext_vector_type(CB_LANES)));
typedef uint16_t v16su __attribute__((ext_vector_type(CB_LANES), aligned(1)));
typedef uint8_t v16cu __attribute__((ext_vector_type(CB_LANES), aligned(1)));
typedef int8_t v16t __attribute__((ext_vector_type(CB_LANES)));
typedef int32_t v8i __attribute__((ext_vector_type(CB_LANES / 2)));
typedef int32_t v4i __attribute__((ext_vector_type(CB_LANES / 4)));
typedef uint32_t v16wb __attribute__((ext_vector_type(CB_LANES), aligned(1)));

// Inputs that are unpacked at once, and rows that pass over them.
#define CB_CHUNK 512
#define CB_STRIP 256
// Up to so many rows, unpacking first does not pay.
#define CB_FEW 32
// Bytes by which packed panels are asked for before they are needed: by itself the processor does not look far enough ahead
// where there is much to compute for each byte. (It does for one row of bytes.) What lies behind the last panel may be asked
// for, too; nothing comes of it.
#define CB_AHEAD(bits) ((bits) == 8 ? 65536 : 24576)

#if !defined(CB_QUADW)
#if defined(CB_QUAD_SPLIT)
// Two products of numbers below 64 by signed bytes fit 16 bits; of greater ones they may not, see quad8. With
// CB_QUAD_SINGLE that is one instruction, and nothing is cheaper.
INLINE v16i quadw16(v16i sum, v16w w, int32_t x, const bool narrow) {
  __m256i s[2], b[2];
  memcpy(s, &sum, sizeof s);
  memcpy(b, &w, sizeof b);
  const __m256i four = _mm256_set1_epi32(x), ones = _mm256_set1_epi16(1);
  for (int i = 0; i < 2; i++)
    s[i] = narrow && !CB_QUAD_SINGLE ? _mm256_add_epi32(s[i], _mm256_madd_epi16(_mm256_maddubs_epi16(b[i], four), ones))
                                     : quad8(s[i], b[i], four);
  memcpy(&sum, s, sizeof s);
  return sum;
}
#else
INLINE v16i quadw16(v16i sum, v16w w, int32_t x, const bool narrow) {
  (void)narrow;
  UNROLL for (int byte = 0; byte < 4; byte++)
    sum += (v16i)((w >> (8 * byte)) & 0xff) * (int32_t)(int8_t)(x >> (8 * byte));
  return sum;
}
#endif
#define CB_QUADW(sum, w, x, narrow) quadw16(sum, w, x, narrow)
#endif

// Sixteen finite binary16 numbers; exact.
INLINE v16 halves16(const uint8_t *p) {
#if defined(CB_HALF16)
  return CB_HALF16(p);
#else
  const v16w bits = __builtin_convertvector((v16s)(*(const v16su *)p), v16w);
  return floats16(bits16(floats16((bits & 0x7fff) << 13) * 0x1p112f) | (bits & 0x8000) << 16);
#endif
}

INLINE v16 bytes16(const uint8_t *p, const bool is_signed) {
  const v16c bytes = *(const v16cu *)p;
  if (!is_signed) return __builtin_convertvector(__builtin_convertvector(bytes, v16i), v16);
  v16t signed_bytes;
  memcpy(&signed_bytes, &bytes, sizeof bytes);
  return __builtin_convertvector(__builtin_convertvector(signed_bytes, v16i), v16);
}

typedef struct {
  /// Of the first sixteen inputs and of the last sixteen; but for Q6_K the former is of all.
  v16 scale[2];
  v16 minimum;
} block_scales;

// The scales of 32 inputs, `block` of them in, from a panel's scales.
INLINE block_scales scales_of(const cb_block_type type, const uint8_t *scales, size_t block) {
  const cb_block_traits t = cb_traits(type);
  block_scales s = {{0.0f, 0.0f}, 0.0f};
  if (!t.is_long) {
    scales += block * cb_scale_bytes(t);
    s.scale[0] = halves16(scales);
    if (t.has_minimum) s.minimum = halves16(scales + 2 * CB_LANES);
    return s;
  }
  scales += block / 8 * cb_scale_bytes(t);
  const uint8_t *factors = scales + 2 * CB_LANES * (t.has_minimum ? 2 : 1) + block % 8 * 2 * CB_LANES;
  const v16 scale = halves16(scales);
  s.scale[0] = scale * bytes16(factors, !t.has_minimum);
  if (t.has_minimum)
    s.minimum = -(halves16(scales + 2 * CB_LANES) * bytes16(factors + CB_LANES, false));
  else
    s.scale[1] = scale * bytes16(factors + CB_LANES, true);
  return s;
}

// Quad j of the integers of 32 inputs, one to a byte.
INLINE v16w quad_of(const int bits, const uint8_t *quants, const int j) {
  if (bits == 8) return *(const v16wb *)(quants + 64 * j);
  v16w w = *(const v16wb *)(quants + 64 * (j % 4));
  w = (j < 4 ? w : w >> 4) & 0x0f0f0f0f;
  if (bits == 5) {
    const v16w fifth = *(const v16wb *)(quants + 256);
    w |= (j < 4 ? fifth << (4 - j) : fifth >> (j - 4)) & 0x10101010;
  }
  if (bits == 6) {
    const v16w upper = *(const v16wb *)(quants + 256 + 64 * (j / 4));
    const int up = 4 - 2 * (j % 4);
    w |= (up >= 0 ? upper << up : upper >> -up) & 0x30303030;
  }
  return w;
}

// −zero · Σx: where the sum begins.
INLINE v16i sum_start(const cb_block_type type, const cb_block_step *step, const int half) {
  const int shift = cb_traits(type).shift;
  return shift ? (v16i)(step->minus[type == CB_Q6_K ? half : 2] << shift) : (v16i)0;
}

INLINE void finish_block(const cb_epilogue kind, v16 v, const float *bias, void *y) {
  if (bias) v += load(bias);
  switch (kind) {
    case CB_BIAS: store(y, v); break;
    case CB_GELU: store(y, gelu_coarse16(v)); break;
    case CB_ADD: store(y, load(y) + v); break;
    case CB_BIAS_BF16: store_half(y, v); break;
    case CB_GELU_BF16: store_half(y, gelu_coarse16(v)); break;
  }
}

// A few rows by one panel, straight from where it is packed. `y` and `bias` at the panel's first output; `ldy` in bytes.
// `asks` for what comes next: the panel's integers and scales as one run of bytes.
INLINE void micro_direct(const int mr, const cb_block_type type, const int8_t *q, const cb_block_step *steps,
                         size_t inputs, const uint8_t *panel, const bool asks, const float *bias, cb_epilogue kind,
                         char *y, size_t ldy) {
  const cb_block_traits t = cb_traits(type);
  const size_t blocks = inputs / CB_STEP;
  const uint8_t *scales = panel + blocks * CB_QUANT_BYTES(t.bits), *ahead = panel + CB_AHEAD(t.bits);
  const size_t each = cb_block_panel_bytes(type, inputs) / blocks;
  v16 total[CB_DROWS];
  UNROLL for (int i = 0; i < mr; i++) total[i] = 0.0f;
  for (size_t b = 0; b < blocks; b++, panel += CB_QUANT_BYTES(t.bits)) {
    const block_scales s = scales_of(type, scales, b);
    if (asks && !(mr == 1 && t.bits == 8)) {
      UNROLL for (int line = 0; line <= t.bits; line++) __builtin_prefetch(ahead + 64 * line);
      ahead += each;
    }
    v16i sum[CB_DROWS];
    UNROLL for (int j = 0; j < 8; j++) {
      const bool begins = j == 0 || (j == 4 && type == CB_Q6_K), ends = j == 7 || (j == 3 && type == CB_Q6_K);
      const v16w w = quad_of(t.bits, panel, j);
      UNROLL for (int i = 0; i < mr; i++) {
        const cb_block_step *step = steps + (size_t)i * blocks + b;
        int32_t bytes;
        memcpy(&bytes, q + (size_t)i * inputs + b * CB_STEP + 4 * (size_t)j, sizeof bytes);
        if (begins) sum[i] = sum_start(type, step, j / 4);
        sum[i] = CB_QUADW(sum[i], w, bytes, t.bits < 8);
        if (ends)
          total[i] = fma16(__builtin_convertvector(sum[i], v16), s.scale[j == 7 && type == CB_Q6_K] * step->step,
                           total[i]);
        if (j == 7 && t.has_minimum) total[i] = fma16(s.minimum, (v16)step->total, total[i]);
      }
    }
  }
  UNROLL for (int i = 0; i < mr; i++) finish_block(kind, total[i], bias, y + (size_t)i * ldy);
}

INLINE void linear_direct(const cb_block_type type, const int8_t *q, const cb_block_step *steps, size_t rows,
                          const cb_block_weight *w, size_t first, size_t count, const float *bias, cb_epilogue kind,
                          char *y, size_t ldy) {
  const size_t panel_bytes = cb_block_panel_bytes(type, w->inputs), blocks = w->inputs / CB_STEP;
  const size_t size = kind == CB_BIAS_BF16 || kind == CB_GELU_BF16 ? sizeof(uint16_t) : sizeof(float);
  for (size_t o = first; o < first + count; o += CB_LANES) {
    const uint8_t *panel = w->packed + o / CB_LANES * panel_bytes;
    const float *offset = bias ? bias + o : NULL;
    size_t i = 0;
#define CB_ROWS_OF(n) \
  for (; n <= CB_DROWS && i + n <= rows; i += n) \
    micro_direct(n < CB_DROWS ? n : CB_DROWS, type, q + i * w->inputs, steps + i * blocks, w->inputs, panel, i == 0, \
                 offset, kind, y + i * ldy + o * size, ldy);
    CB_ROWS_OF(8) CB_ROWS_OF(4) CB_ROWS_OF(2) CB_ROWS_OF(1)
#undef CB_ROWS_OF
  }
}

// Some inputs of a few panels, one integer a byte, and their scales as floats.
typedef struct {
  v16w quads[CB_CHUNK / CB_STEP][8][CB_WPANELS];
  v16 scale[CB_CHUNK / CB_STEP][2][CB_WPANELS];
  v16 minimum[CB_CHUNK / CB_STEP][CB_WPANELS];
} block_chunk;

INLINE void unpack_chunk(const cb_block_type type, const uint8_t *panels, size_t inputs, size_t first, size_t blocks,
                         block_chunk *chunk) {
  const cb_block_traits t = cb_traits(type);
  const size_t panel_bytes = cb_block_panel_bytes(type, inputs), quants = CB_QUANT_BYTES(t.bits);
  UNROLL for (int p = 0; p < CB_WPANELS; p++) {
    const uint8_t *panel = panels + (size_t)p * panel_bytes, *scales = panel + inputs / CB_STEP * quants;
    for (size_t b = 0; b < blocks; b++) {
      UNROLL for (int j = 0; j < 8; j++) chunk->quads[b][j][p] = quad_of(t.bits, panel + (first + b) * quants, j);
      const block_scales s = scales_of(type, scales, first + b);
      chunk->scale[b][0][p] = s.scale[0];
      chunk->scale[b][1][p] = s.scale[1];
      chunk->minimum[b][p] = s.minimum;
    }
  }
}

// Where a row's sums end after the last chunk; y and bias at the first output, `ldy` in bytes.
typedef struct {
  const float *bias;
  char *y;
  size_t ldy;
  size_t element;
  cb_epilogue kind;
} wide_end;

// Some rows by an unpacked chunk. `blocks` of the chunk, `ldb` of a row. totals, (rows, CB_WPANELS), go on from chunk to
// chunk; after the last, `end` says where they are stored, at once: while the next rows are multiplied, the memory that
// y lies in has time to arrive.
INLINE void micro_wide(const int mr, const cb_block_type type, const int8_t *q, const cb_block_step *steps,
                       size_t inputs, const block_chunk *chunk, size_t blocks, const bool begins, v16 *totals,
                       const wide_end *end) {
  const cb_block_traits t = cb_traits(type);
  const size_t ldb = inputs / CB_STEP;
  v16 total[CB_WROWS][CB_WPANELS];
  UNROLL for (int i = 0; i < mr; i++) UNROLL for (int p = 0; p < CB_WPANELS; p++)
    total[i][p] = begins ? (v16)0.0f : totals[i * CB_WPANELS + p];
  for (size_t b = 0; b < blocks; b++)
    UNROLL for (int half = 0; half < (type == CB_Q6_K ? 2 : 1); half++) {
      const int first = 4 * half, end = type == CB_Q6_K ? first + 4 : 8;
      v16i sum[CB_WROWS][CB_WPANELS];
      UNROLL for (int i = 0; i < mr; i++) {
        const v16i start = sum_start(type, steps + (size_t)i * ldb + b, half);
        UNROLL for (int p = 0; p < CB_WPANELS; p++) sum[i][p] = start;
      }
      UNROLL for (int j = first; j < end; j++)
        UNROLL for (int i = 0; i < mr; i++) {
          int32_t bytes;
          memcpy(&bytes, q + (size_t)i * inputs + b * CB_STEP + 4 * (size_t)j, sizeof bytes);
          UNROLL for (int p = 0; p < CB_WPANELS; p++)
            sum[i][p] = CB_QUADW(sum[i][p], chunk->quads[b][j][p], bytes, t.bits < 8);
        }
      UNROLL for (int i = 0; i < mr; i++) {
        const cb_block_step *step = steps + (size_t)i * ldb + b;
        UNROLL for (int p = 0; p < CB_WPANELS; p++) {
          total[i][p] = fma16(__builtin_convertvector(sum[i][p], v16), chunk->scale[b][half][p] * step->step,
                              total[i][p]);
          if (t.has_minimum) total[i][p] = fma16(chunk->minimum[b][p], (v16)step->total, total[i][p]);
        }
      }
    }
  if (end)
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int p = 0; p < CB_WPANELS; p++)
      finish_block(end->kind, total[i][p], end->bias ? end->bias + p * CB_LANES : NULL,
                   end->y + (size_t)i * end->ldy + (size_t)p * CB_LANES * end->element);
  else
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int p = 0; p < CB_WPANELS; p++)
      totals[i * CB_WPANELS + p] = total[i][p];
}

INLINE void linear_wide(const cb_block_type type, const int8_t *q, const cb_block_step *steps, size_t rows,
                        const cb_block_weight *w, size_t first, size_t count, const float *bias, cb_epilogue kind,
                        char *y, size_t ldy) {
  const size_t panel_bytes = cb_block_panel_bytes(type, w->inputs), blocks = w->inputs / CB_STEP;
  const size_t size = kind == CB_BIAS_BF16 || kind == CB_GELU_BF16 ? sizeof(uint16_t) : sizeof(float);
  const size_t quants = CB_QUANT_BYTES(cb_traits(type).bits), most = CB_CHUNK / CB_STEP;
  const size_t scales = cb_scale_bytes(cb_traits(type)) / (cb_traits(type).is_long ? 8 : 1);
  block_chunk chunk;
  v16 totals[CB_STRIP * CB_WPANELS];
  for (size_t o = first; o < first + count; o += CB_WPANELS * CB_LANES)
    for (size_t b = 0; b < blocks; b += most) {
      const size_t some = blocks - b < most ? blocks - b : most;
      unpack_chunk(type, w->packed + o / CB_LANES * panel_bytes, w->inputs, b, some, &chunk);
      // What is unpacked next is asked for while the rows pass; behind the last panels, what likely comes.
      const bool is_last = b + some == blocks;
      const size_t next_output = is_last ? o + CB_WPANELS * CB_LANES : o, next_block = is_last ? 0 : b + some;
      const uint8_t *next = w->packed + next_output / CB_LANES * panel_bytes + next_block * quants;
      const size_t next_some = blocks - next_block < most ? blocks - next_block : most;
      size_t line = 0, lines = next_some * quants / 64;
      const uint8_t *next_scales = next + (blocks - next_block) * quants + next_block * scales;
      for (size_t k = 0; k < next_some * scales; k += 64)
        UNROLL for (size_t p = 0; p < CB_WPANELS; p++) __builtin_prefetch(next_scales + p * panel_bytes + k, 0, 2);
      size_t i = 0;
#define CB_ROWS_OF(n) \
  for (; n <= CB_WROWS && i + n <= rows; i += n) { \
    UNROLL for (int k = 0; k < 4; k++, line++) \
      if (line < lines) \
        UNROLL for (size_t p = 0; p < CB_WPANELS; p++) __builtin_prefetch(next + p * panel_bytes + 64 * line, 0, 2); \
    const wide_end end = {bias ? bias + o : NULL, y + i * ldy + o * size, ldy, size, kind}; \
    micro_wide(n < CB_WROWS ? n : CB_WROWS, type, q + i * w->inputs + b * CB_STEP, steps + i * blocks + b, \
               w->inputs, &chunk, some, b == 0, totals + i * CB_WPANELS, is_last ? &end : NULL); \
  }
      CB_ROWS_OF(4) CB_ROWS_OF(2) CB_ROWS_OF(1)
#undef CB_ROWS_OF
    }
}

INLINE void linear_of(const cb_block_type type, const int8_t *q, const cb_block_step *steps, size_t rows,
                      const cb_block_weight *w, size_t first, size_t count, const float *bias, cb_epilogue kind,
                      char *y, size_t ldy) {
  const size_t whole = rows > CB_FEW ? count / (CB_WPANELS * CB_LANES) * (CB_WPANELS * CB_LANES) : 0;
  // Strips of about the same height, so that no few rows are left for which all would be unpacked again.
  const size_t strips = (rows + CB_STRIP - 1) / CB_STRIP;
  const size_t strip = strips ? ((rows + strips - 1) / strips + 3) / 4 * 4 : 0;
  for (size_t i = 0; i < rows; i += strip) {
    const size_t some = rows - i < strip ? rows - i : strip;
    const int8_t *x = q + i * w->inputs;
    const cb_block_step *xs = steps + i * (w->inputs / CB_STEP);
    if (whole) linear_wide(type, x, xs, some, w, first, whole, bias, kind, y + i * ldy, ldy);
    if (whole < count)
      linear_direct(type, x, xs, some, w, first + whole, count - whole, bias, kind, y + i * ldy, ldy);
  }
}

static void linear_blocks(const int8_t *q, const cb_block_step *steps, size_t rows, const cb_block_weight *w,
                          size_t first, size_t count, const float *bias, cb_epilogue kind, void *y, size_t ldy) {
  ldy *= kind == CB_BIAS_BF16 || kind == CB_GELU_BF16 ? sizeof(uint16_t) : sizeof(float);
#if defined(CB_ANY_TYPE)
  linear_of(w->type, q, steps, rows, w, first, count, bias, kind, y, ldy);
#else
  switch (w->type) {
#define CB_CASE(type) \
  case type: linear_of(type, q, steps, rows, w, first, count, bias, kind, y, ldy); break;
    CB_CASE(CB_Q4_0) CB_CASE(CB_Q4_1) CB_CASE(CB_Q5_0) CB_CASE(CB_Q5_1)
    CB_CASE(CB_Q8_0) CB_CASE(CB_Q4_K) CB_CASE(CB_Q5_K) CB_CASE(CB_Q6_K)
#undef CB_CASE
  }
#endif
}

// Sixteen numbers of at most 127 to the nearest integers.
INLINE v16i quantized16(v16 x, float inverse) {
  return (v16i)bits16(x * inverse + 12582912.0f) - 0x4b400000;  // 1.5 · 2²³: adding it rounds to an integer
}

INLINE void quantize_row(const float *x, size_t width, int8_t *q, cb_block_step *steps) {
  for (size_t i = 0; i < width; i += CB_STEP, steps++) {
    const v16 a = load(x + i), b = load(x + i + CB_LANES);
    // Magnitudes compare as their bits do, and an infinity or NaN is above all numbers: none is passed over.
    const v16i am = (v16i)(bits16(a) & 0x7fffffff), bm = (v16i)(bits16(b) & 0x7fffffff);
    const int32_t top = __builtin_reduce_max(am > bm ? am : bm);
    const bool is_finite = top < 0x7f800000;
    float most;
    memcpy(&most, &top, sizeof most);
    const bool some = is_finite && most >= 1e-30f;
    const float step = some ? most / 127.0f : is_finite ? 0.0f : NAN, inverse = some ? 127.0f / most : 0.0f;
    const int32_t kept = some ? -1 : 0;
    const v16i low = quantized16(a, inverse) & kept, high = quantized16(b, inverse) & kept;
    *(v16cu *)(q + i) = narrow16(low);
    *(v16cu *)(q + i + CB_LANES) = narrow16(high);
    // The sums stay in vectors: by way of the general registers the whole takes twice as long.
    const v8i l = low.lo + low.hi, h = high.lo + high.hi;
    const v4i lh = __builtin_shufflevector(l.lo + l.hi, h.lo + h.hi, 0, 1, 4, 5) +
                   __builtin_shufflevector(l.lo + l.hi, h.lo + h.hi, 2, 3, 6, 7);
    const v4i sums = lh.xzxz + lh.ywyw, all = sums + sums.yxwz;
    const v4 total = __builtin_convertvector(all, v4) * step;
    v4i words;
    memcpy(&words, &total, sizeof words);
    words = __builtin_shufflevector(words, -__builtin_shufflevector(sums, all, 0, 0, 1, 4), 0, 5, 6, 7);
    steps->step = step;
    memcpy(&steps->total, &words, sizeof words);
  }
}

static void quantize_blocks(const float *x, size_t ldx, size_t rows, size_t width, int8_t *q, size_t ldq,
                            cb_block_step *steps) {
  for (size_t r = 0; r < rows; r++) quantize_row(x + r * ldx, width, q + r * ldq, steps + r * (ldq / CB_STEP));
}
