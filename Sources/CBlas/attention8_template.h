// The attention of int8, included by kernels_template.h for each instruction set: both of its products are int8's.
//
// Queries become unsigned bytes (128 more than a signed one) with one step for a head, keys and values signed ones, each
// token's with a step of its own. A value's step is a factor of its weight: so a token that many look at for want of
// anything better, whose values are small, takes no levels from the weights of the others. Weights are rounded to bytes
// after a number between 0 and 1, by the token's place, is added: so many weights below one level keep their sum.

// The levels of the greatest weight: with what the exponential and the number before rounding add, below 256.
#define CB_WEIGHT_LEVELS 254.0f
// Weights below 2^−CB_WEIGHT_RANGE of the greatest stay there; no value's step is below 2^−CB_STEP_RANGE of the greatest.
#define CB_WEIGHT_RANGE 100.0f
#define CB_STEP_RANGE 12
// Rows that are made weights at once.
#define CB_WEIGHED (CB_QPANELS > 1 ? 4 : 1)

// i · 0.618… mod 1
static const float threshold8[64] = {
    0.000000f, 0.618034f, 0.236068f, 0.854102f, 0.472136f, 0.090170f, 0.708204f, 0.326238f, 0.944272f, 0.562306f,
    0.180340f, 0.798374f, 0.416408f, 0.034442f, 0.652476f, 0.270510f, 0.888544f, 0.506578f, 0.124612f, 0.742646f,
    0.360680f, 0.978714f, 0.596748f, 0.214782f, 0.832816f, 0.450850f, 0.068884f, 0.686918f, 0.304952f, 0.922986f,
    0.541020f, 0.159054f, 0.777088f, 0.395122f, 0.013156f, 0.631190f, 0.249224f, 0.867258f, 0.485292f, 0.103326f,
    0.721360f, 0.339394f, 0.957428f, 0.575462f, 0.193496f, 0.811529f, 0.429563f, 0.047597f, 0.665631f, 0.283665f,
    0.901699f, 0.519733f, 0.137767f, 0.755801f, 0.373835f, 0.991869f, 0.609903f, 0.227937f, 0.845971f, 0.464005f,
    0.082039f, 0.700073f, 0.318107f, 0.936141f};

// One sequence's head, in bytes. `padded`: its tokens up to a multiple of CB_LANES.
typedef struct {
  size_t tokens, padded, d;
  uint8_t *queries;
  // Panels of sixteen keys, their start (−128 times each key's sum), what a sum of its and a query's bytes is multiplied by.
  int8_t *keys;
  int32_t *starts;
  float *steps;
  // Panels of sixteen columns of all tokens; the logarithm of each token's step by the greatest, and its inverse.
  int8_t *values;
  float *logarithms, *inverses;
  // What a sum of weights and values is multiplied by, and NaN where a key or a value is not finite.
  float value_step;
  float is_wrong;
  v16 wrong;
  // Less what the numbers before rounding add to a sum of weights.
  v16 thresholds;
} head8;

// Four numbers to bytes, the low ones of the four lanes' words; each number by its inverse is within ±127.
INLINE v16w rounded_quad(const v16 x[4], const v16 inverse[4]) {
  const v16 magic = 12582912.0f;  // 1.5 · 2²³: adding it rounds to an integer
  v16w b[4];
  UNROLL for (int i = 0; i < 4; i++) b[i] = bits16(fma16(x[i], inverse[i], magic));
  return (b[0] & 0xff) | (b[1] & 0xff) << 8 | (b[2] & 0xff) << 16 | b[3] << 24;
}

// Sixteen vectors become one, each a lane of it, by halves, quarters and so on put side by side.
#define CB_JOIN(v, join) \
  CB_JOIN_STEP(v, join, 8, (0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), \
               (8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31)) \
  CB_JOIN_STEP(v, join, 4, (0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27), \
               (4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31)) \
  CB_JOIN_STEP(v, join, 2, (0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29), \
               (2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)) \
  CB_JOIN_STEP(v, join, 1, (0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30), \
               (1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#define CB_LIST(...) __VA_ARGS__
#define CB_JOIN_STEP(v, join, n, low, high) \
  UNROLL for (int i = 0; i < n; i++) \
    v[i] = join(CB_SHUFFLE(v[i], v[i + n], CB_LIST low), CB_SHUFFLE(v[i], v[i + n], CB_LIST high));
#define CB_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

INLINE v16 greater16(v16 a, v16 b) { return a > b ? a : b; }
INLINE v16w greater16w(v16w a, v16w b) { return __builtin_elementwise_max(a, b); }
INLINE v16 added16(v16 a, v16 b) { return a + b; }

INLINE v16 joined_greatest(v16 v[CB_LANES]) {
  CB_JOIN(v, greater16)
  return v[0];
}

INLINE v16 joined_sum(v16 v[CB_LANES]) {
  CB_JOIN(v, added16)
  return v[0];
}

// The greatest magnitude of each of up to sixteen rows of bfloat16, zero for others. As integers: so that what is not
// finite stays the greatest.
INLINE v16 magnitudes16(const uint16_t *x, const size_t count, size_t ld, size_t d) {
  v16w most[CB_LANES];
  UNROLL for (size_t r = 0; r < CB_LANES; r++) most[r] = 0;
  for (size_t i = 0; i < d; i += CB_LANES)
    UNROLL for (size_t r = 0; r < CB_LANES; r++)
      if (r < count) most[r] = greater16w(most[r], words16(x + r * ld + i) & 0x7fff);
  CB_JOIN(most, greater16w)
  return floats16(most[0] << 16);
}

// log₂ x to 1e-4, for x > 0 that is no denormal.
INLINE v16 log2_coarse16(v16 x) {
  const v16w bits = bits16(x);
  const v16 m = floats16((bits & 0x7fffff) | 0x3f800000);
  v16 p = -8.161581e-02f;
  p = fma16(p, m, (v16)6.4514236e-01f);
  p = fma16(p, m, (v16)-2.12067513e+00f);
  p = fma16(p, m, (v16)4.07009079e+00f);
  p = fma16(p, m, (v16)-2.51285462e+00f);
  return p + (__builtin_convertvector((i16)(bits >> 23), v16) - 127.0f);
}

// What numbers up to a magnitude are multiplied by to become signed bytes.
INLINE v16 inverse16(v16 magnitude) { return magnitude > 0x1p-100f ? 127.0f / magnitude : (v16)0.0f; }

// All queries to bytes. Returns what a sum of theirs and a key's bytes is multiplied by beside the key's magnitude.
INLINE float pack_queries8(const uint16_t *q, size_t ld, float scale, head8 *head) {
  const size_t d = head->d;
  v16w most = 0;
  for (size_t t = 0; t < head->tokens; t++)
    for (size_t i = 0; i < d; i += CB_LANES) most = greater16w(most, words16(q + t * ld + i) & 0x7fff);
  const float magnitude = max16(floats16(most << 16)), wrong = sum16(floats16(most << 16) * 0.0f);
  const v16 inverse = inverse16(magnitude);
  for (size_t t = 0; t < head->tokens; t++)
    for (size_t i = 0; i < d; i += CB_LANES) {
      const v16w bits = bits16(fma16(load_half(q + t * ld + i), inverse, (v16)(12582912.0f + 128.0f)));
      const v16c bytes = narrow16((v16i)bits);
      memcpy(head->queries + t * d + i, &bytes, sizeof bytes);
    }
  return magnitude * scale + wrong;
}

// Sixteen keys as a panel of bytes. `scale`: what pack_queries8 returned. `pairs` is scratch of d / 2 vectors.
INLINE void pack_keys8(const uint16_t *k, size_t count, size_t ld, float scale, head8 *head, size_t t, uint32_t *pairs) {
  const size_t d = head->d;
  pack_keys(k, count, ld, d / 2, pairs);
  v16w most = 0;
  for (size_t p = 0; p < d / 2; p++) {
    const v16w pair = *(const v16wu *)(pairs + p * CB_LANES);
    most = __builtin_elementwise_max(most, pair & 0x7fff0000);
    most = __builtin_elementwise_max(most, pair << 16 & 0x7fff0000);
  }
  const v16 magnitude = floats16(most), inverse = inverse16(magnitude);
  const v16 inverses[4] = {inverse, inverse, inverse, inverse};
  v16i start = 0;
  for (size_t i = 0; i < d / 4; i++) {
    const v16w a = *(const v16wu *)(pairs + 2 * i * CB_LANES), b = *(const v16wu *)(pairs + (2 * i + 1) * CB_LANES);
    const v16 x[4] = {floats16(a << 16), floats16(a & 0xffff0000), floats16(b << 16), floats16(b & 0xffff0000)};
    const v16w quad = rounded_quad(x, inverses);
    v64c bytes;
    memcpy(&bytes, &quad, sizeof bytes);
    *(v64cu *)(head->keys + t * d + i * 4 * CB_LANES) = bytes;
    start = CB_QUAD(start, (int32_t)0x80808080, bytes);
  }
  *(v16iu *)(head->starts + t) = -start;
  store(head->steps + t, magnitude * scale);
  head->wrong += magnitude * 0.0f;
}

INLINE void pack_values8(const uint16_t *v, size_t ld, head8 *head) {
  const size_t tokens = head->tokens, d = head->d, quads = (tokens + 3) / 4;
  v16 most = 0.0f;
  for (size_t t = 0; t < tokens; t += CB_LANES) {
    const size_t count = tokens - t;
    const v16 magnitude = count < CB_LANES ? magnitudes16(v + t * ld, count, ld, d) : magnitudes16(v + t * ld, CB_LANES, ld, d);
    store(head->logarithms + t, magnitude);
    head->wrong += magnitude * 0.0f;
    most = greater16(most, magnitude);
  }
  const float most_of_all = max16(most), greatest = most_of_all > 0x1p-100f ? most_of_all : 1.0f;
  const v16 least = greatest * (1.0f / (1 << CB_STEP_RANGE)), share = 1.0f / greatest;
  head->value_step = greatest / 127.0f;
  head->thresholds = 0.0f;
  for (size_t t = 0; t < tokens; t += CB_LANES) {
    const size_t count = tokens - t < CB_LANES ? tokens - t : CB_LANES;
    const v16 magnitude = greater16(least, load(head->logarithms + t));
    const v16 scale = 127.0f / magnitude, back = first_lanes(scale * head->value_step, count, 0.0f);
    store(head->logarithms + t, first_lanes(log2_coarse16(magnitude * share), count, -INFINITY));
    store(head->inverses + t, back);
    head->thresholds = fma16(load(threshold8 + t % 64), -back, head->thresholds);
    float inverse[CB_LANES];
    store(inverse, scale);
    for (size_t r = 0; r < count; r += 4)
      for (size_t i = 0; i < d; i += CB_LANES) {
        v16 x[4], inverses[4];
        UNROLL for (size_t n = 0; n < 4; n++) {
          inverses[n] = inverse[r + n];
          x[n] = r + n < count ? load_half(v + (t + r + n) * ld + i) : (v16)0.0f;
        }
        *(v16wu *)(head->values + (i * quads + (t + r) / 4 * CB_LANES) * 4) = rounded_quad(x, inverses);
      }
  }
}

// A block of rows of bytes by np panels: integer sums.
INLINE void sums8(const int mr, const int np, size_t quads, const uint8_t *a, size_t lda, const int8_t *b,
                  v16i sum[CB_QROWS][CB_QPANELS]) {
  for (size_t k = 0; k < quads; k++) {
    v64c four[CB_QPANELS];
    UNROLL for (int j = 0; j < np; j++)
      four[j] = *(const v64cu *)(b + ((size_t)j * quads + k) * 4 * CB_LANES);
    UNROLL for (int i = 0; i < mr; i++) {
      int32_t bytes;
      memcpy(&bytes, a + (size_t)i * lda + 4 * k, sizeof bytes);
      UNROLL for (int j = 0; j < np; j++) sum[i][j] = CB_QUAD(sum[i][j], bytes, four[j]);
    }
  }
}

// Scores of a block of queries and np panels of keys, in powers of two, with the logarithms of the values' steps.
INLINE void scores8(const int mr, const int np, const size_t d, const head8 *head, size_t query, size_t t,
                    float *scores) {
  v16i sum[CB_QROWS][CB_QPANELS];
  UNROLL for (int j = 0; j < np; j++) {
    const v16i start = *(const v16iu *)(head->starts + t + (size_t)j * CB_LANES);
    UNROLL for (int i = 0; i < mr; i++) sum[i][j] = start;
  }
  sums8(mr, np, d / 4, head->queries + query * d, d, head->keys + t * d, sum);
  UNROLL for (int j = 0; j < np; j++) {
    const size_t place = t + (size_t)j * CB_LANES;
    const v16 step = load(head->steps + place), logarithm = load(head->logarithms + place);
    UNROLL for (int i = 0; i < mr; i++)
      store(scores + (size_t)i * head->padded + place,
            fma16(__builtin_convertvector(sum[i][j], v16), step, logarithm));
  }
}

// Weights of a block of rows by np panels of values.
INLINE void mixed8(const int mr, const int np, size_t rows, const head8 *head, size_t column, const uint8_t *weights,
                   const float *factor, uint16_t *out, size_t ldo) {
  const size_t quads = (head->tokens + 3) / 4;
  v16i sum[CB_QROWS][CB_QPANELS];
  UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < np; j++) sum[i][j] = 0;
  sums8(mr, np, quads, weights, head->padded, head->values + column * quads * 4, sum);
  UNROLL for (int j = 0; j < np; j++)
    UNROLL for (int i = 0; i < mr; i++)
      if ((size_t)i < rows)
        store_tiny_half(out + (size_t)i * ldo + column + (size_t)j * CB_LANES,
                        __builtin_convertvector(sum[i][j], v16) * factor[i]);
}

// Some rows of scores s become weights 2^(s − max) in bytes; n is a constant at every call. `magic`: below. `totals` takes
// sixteen sums of each row's weights without their values' steps, in levels.
INLINE void weigh8(const int n, const float *scores, const head8 *head, const float *magic, uint8_t *weights,
                   v16 *totals) {
  const size_t padded = head->padded;
  v16 total[CB_WEIGHED];
  UNROLL for (int r = 0; r < n; r++) total[r] = head->thresholds;
  const v16 low = 1536.0f + 127.0f - CB_WEIGHT_RANGE;
  for (size_t i = 0; i < padded; i += CB_LANES) {
    const v16 inverse = load(head->inverses + i), threshold = load(threshold8 + i % 64);
    UNROLL for (int r = 0; r < n; r++) {
      const v16 t = greater16(load(scores + (size_t)r * padded + i) + magic[r], low);
      const v16w bits = bits16(t) << 10;
      const v16 m = floats16((bits & 0x7fffff) | 0x3f800000);
      v16 c = CB_WEIGHT_LEVELS * 0.2337f;
      c = fma16(c, m, (v16)(CB_WEIGHT_LEVELS * -0.69421164f));
      c = fma16(c, m, (v16)(CB_WEIGHT_LEVELS * 1.45706747f));
      const v16 level = fma16(floats16(bits), c, threshold);
      total[r] = fma16(level, inverse, total[r]);
      const v16c bytes = narrow16(__builtin_convertvector(level, v16i));
      memcpy(weights + (size_t)r * padded + i, &bytes, sizeof bytes);
    }
  }
  UNROLL for (int r = 0; r < n; r++) totals[r] = total[r];
}

// A block of rows. `factors` takes what each row's sums of weights and values are multiplied by; NaN where a score is not
// finite.
INLINE void softmax8(size_t rows, float *scores, const head8 *head, uint8_t *weights, float *factors) {
  const size_t padded = head->padded;
  v16 vectors[CB_LANES];
  for (size_t r = 0; r < rows; r++) {
    v16 most = load(scores + r * padded);
    for (size_t i = CB_LANES; i < padded; i += CB_LANES) most = greater16(load(scores + r * padded + i), most);
    vectors[r] = most;
  }
  for (size_t r = rows; r < CB_LANES; r++) vectors[r] = 0.0f;
  const v16 tops = joined_greatest(vectors);
  // Adding `magic` rounds to 2⁻¹³; the last bits are then an exponent's and a mantissa's: 2ⁿ·(1 + f), which c makes 2ⁿ⁺ᶠ
  // to 3.5e-3.
  float top[CB_LANES], magic[CB_LANES];
  store(top, tops);
  store(magic, (1536.0f + 127.0f) - tops);
  for (size_t r = 0; r < rows; r++)
    if (!(__builtin_fabsf(top[r]) < 4096.0f)) {  // what is added would lose too much of it
      for (size_t i = 0; i < padded; i += CB_LANES)
        store(scores + r * padded + i, load(scores + r * padded + i) - top[r]);
      magic[r] = 1536.0f + 127.0f;
    }
  size_t r = 0;
  for (; r + CB_WEIGHED <= rows; r += CB_WEIGHED)
    weigh8(CB_WEIGHED, scores + r * padded, head, magic + r, weights + r * padded, vectors + r);
  for (; r < rows; r++) weigh8(1, scores + r * padded, head, magic + r, weights + r * padded, vectors + r);
  store(factors, head->value_step / (joined_sum(vectors) + (tops * 0.0f + head->is_wrong)));
}

// A block of mr queries, of which `rows` there are, and one head; mr is a constant at every call, and d may be one.
INLINE void block8(const int mr, const size_t d, size_t rows, const head8 *head, size_t t, const cb_distance_bias *bias,
                   size_t h, float *scores, uint8_t *weights, uint16_t *out, size_t ldo) {
  const size_t tokens = head->tokens, padded = head->padded;
  size_t k = 0;
  for (; k + CB_QPANELS * CB_LANES <= padded; k += CB_QPANELS * CB_LANES) scores8(mr, CB_QPANELS, d, head, t, k, scores);
  if (CB_QPANELS > 1 && k < padded) scores8(mr, 1, d, head, t, k, scores);
  if (bias)
    for (size_t r = 0; r < rows; r++)
      distance_row(scores + r * padded, tokens, bias->values + (2 * h + 1) * bias->limit - h - 1 - (t + r));
  float factors[CB_LANES];
  softmax8(rows, scores, head, weights, factors);
  size_t i = 0;
  for (; i + CB_QPANELS * CB_LANES <= d; i += CB_QPANELS * CB_LANES)
    mixed8(mr, CB_QPANELS, rows, head, i, weights, factors, out, ldo);
  if (CB_QPANELS > 1 && i < d) mixed8(mr, 1, rows, head, i, weights, factors, out, ldo);
}

static void attention8(const uint16_t *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias,
                       float *scratch, uint16_t *out) {
  const size_t tokens = part.tokens, d = part.head_width, width = part.heads * d, ld = 3 * width;
  const size_t padded = (tokens + CB_LANES - 1) / CB_LANES * CB_LANES;
  head8 head = {.tokens = tokens, .padded = padded, .d = d};
  float *scores = scratch;  // (CB_QROWS, padded)
  head.steps = scores + CB_QROWS * padded;
  head.logarithms = head.steps + padded;
  head.inverses = head.logarithms + padded;
  head.starts = (int32_t *)(head.inverses + padded);
  head.keys = (int8_t *)(head.starts + padded);
  head.values = head.keys + padded * d;
  head.queries = (uint8_t *)(head.values + padded * d);
  uint8_t *weights = head.queries + padded * d;  // (CB_QROWS, padded)
  uint32_t *pairs = (uint32_t *)(weights + CB_QROWS * padded);  // (d / 2, CB_LANES)
  for (size_t h = part.first_head; h < part.end_head; h++) {
    const uint16_t *q = qkv + h * d, *k = q + width;
    head.wrong = 0.0f;
    const float factor = pack_queries8(q, ld, scale * (1.44269504f / (127.0f * 127.0f)), &head);
    for (size_t t = 0; t < tokens; t += CB_LANES) pack_keys8(k + t * ld, tokens - t, ld, factor, &head, t, pairs);
    pack_values8(k + width, ld, &head);
    head.is_wrong = sum16(head.wrong) + factor * 0.0f;
    size_t t = 0;
    uint16_t *to = out + h * d;
    for (; t + CB_QROWS <= tokens; t += CB_QROWS)
      if (d == 32)  // unrolled
        block8(CB_QROWS, 32, CB_QROWS, &head, t, bias, h, scores, weights, to + t * width, width);
      else
        block8(CB_QROWS, d, CB_QROWS, &head, t, bias, h, scores, weights, to + t * width, width);
    const size_t step = (CB_QROWS + 2) / 3;
    for (; t < tokens; t += step)
      block8(step, d, tokens - t < step ? tokens - t : step, &head, t, bias, h, scores, weights, to + t * width, width);
  }
}
