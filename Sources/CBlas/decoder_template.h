// What a decoder adds to an encoder's arithmetic, included by kernels_template.h for each instruction set: RMS norms,
// rotary positions, the gate of the feed-forward layer, and attention over pages of keys and values.
//
// A token's result depends on its own sequence up to it alone, bit for bit. Pages and the sixteen lanes of every sum lie
// at fixed positions of the sequence, so it does not tell with which tokens it was computed at once: what lies outside
// a token's reach has the weight 0, which changes a sum in nothing but the sign of a zero, and that is taken off at the
// end. (What lies outside must be finite for that: pages are zeroed before another sequence gets them, and tokens of
// two pages are never computed at once.)

static void rmsnorm(const float *x, size_t rows, size_t width, const float *gain, float epsilon, float *out) {
  for (size_t r = 0; r < rows; r++, x += width, out += width) {
    v16 squares = 0.0f;
    for (size_t i = 0; i < width; i += CB_LANES) squares = fma16(load(x + i), load(x + i), squares);
    const v16 inverse = 1.0f / sqrtf(sum16(squares) / (float)width + epsilon);
    for (size_t i = 0; i < width; i += CB_LANES) store(out + i, load(x + i) * inverse * load(gain + i));
  }
}

typedef float v8u __attribute__((ext_vector_type(CB_LANES / 2), aligned(4)));

// Eight pairs at a time; of each number the two products are rounded, and then their sum.
static void rotate(float *x, size_t rows, size_t ld, size_t heads, size_t d, const float *cosines, const float *sines,
                   bool interleaved) {
  const size_t pairs = d / 2;
  const v16 signs = {-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1};
  for (size_t r = 0; r < rows; r++, x += ld, cosines += pairs, sines += pairs)
    for (size_t h = 0; h < heads; h++) {
      float *head = x + h * d;
      for (size_t i = 0; i < pairs; i += CB_LANES / 2) {
        const v8 c = *(const v8u *)(cosines + i), s = *(const v8u *)(sines + i);
        if (interleaved) {
          const v16 cc = __builtin_shufflevector(c, c, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
          const v16 ss = __builtin_shufflevector(s, s, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
          const v16 v = load(head + 2 * i);
          const v16 swapped = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
          store(head + 2 * i, v * cc + swapped * (ss * signs));
        } else {
          v8u *a = (v8u *)(head + i), *b = (v8u *)(head + pairs + i);
          const v8 u = *a, v = *b;
          *a = u * c - v * s;
          *b = v * c + u * s;
        }
      }
    }
}

static void silu_multiply(const float *x, const float *with, size_t ldx, size_t rows, size_t width, float *out,
                          size_t ldo) {
  for (size_t r = 0; r < rows; r++, x += ldx, with += ldx, out += ldo)
    for (size_t i = 0; i < width; i += CB_LANES) {
      const v16 gate = load(x + i);
      store(out + i, gate * sigmoid16(gate) * load(with + i));
    }
}

// The first position that a token sees; `end` is the one behind it.
INLINE size_t reach(size_t end, size_t window) { return window && end > window ? end - window : 0; }

// A row of scores from a page's beginning on: weights exp(scale·(s − max)) for those in [begin, end), zeros for the
// others up to `count`, a multiple of CB_LANES. Returns the weights' sum.
INLINE float softmax_span(float *row, size_t begin, size_t end, size_t count, float scale) {
  for (size_t i = 0; i < begin; i++) row[i] = -INFINITY;
  for (size_t i = end; i < count; i++) row[i] = -INFINITY;
  const v16 top = highest_of(row, count);
  v16 total = 0.0f;
  for (size_t i = 0; i < count; i += CB_LANES) {
    const v16 s = load(row + i);
    const v16 e = s == -INFINITY ? (v16)0.0f : exp16((s - top) * scale);
    total += e;
    store(row + i, e);
  }
  return sum16(total);
}

// The same for bfloat16, whose weights go to `out`.
INLINE float softmax_span_half(float *row, size_t begin, size_t end, size_t count, float scale, uint16_t *out) {
  for (size_t i = 0; i < begin; i++) row[i] = -INFINITY;
  for (size_t i = end; i < count; i++) row[i] = -INFINITY;
  const v16 factor = scale * 1.44269504f, top = -highest_of(row, count) * factor;
  v16 total = 0.0f;
  for (size_t i = 0; i < count; i += CB_LANES) {
    const v16 s = load(row + i);
    const v16 e = s == -INFINITY ? (v16)0.0f : exp2_coarse16(fma16(s, factor, top));
    total += e;
    store_half(out + i, e);
  }
  return sum16(total);
}

// Asks for a head's keys, or values, of one page.
INLINE void ask(const char *area, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(area + i);
}

// Queries are taken CB_ROWS at a time: the heads of one token that share keys, then those of the next. `half` is
// a constant at every call.
INLINE void attend(const bool half, const float *q, size_t ldq, size_t rows, size_t group, size_t head,
                   const cb_cache *cache, float *scratch, float *out, size_t ldo) {
  const size_t d = cache->head_width, size = half ? sizeof(uint16_t) : sizeof(float), area = CB_PAGE * d;
  float *queries = scratch, *mixed = queries + CB_ROWS * d, *scores = mixed + CB_ROWS * d;
  // Never beyond a page: an infinity behind it, times the weight 0, would be a NaN in a page that others may share.
  for (size_t f = 0, count; f < rows * group; f += count) {
    const size_t own = (CB_PAGE - (cache->position + f / group) % CB_PAGE) * group - f % group;
    count = rows * group - f < CB_ROWS ? rows * group - f : CB_ROWS;
    count = own < count ? own : count;
    const size_t first = reach(cache->position + f / group + 1, cache->window) / CB_PAGE;
    const size_t last = (cache->position + (f + count - 1) / group) / CB_PAGE;
    const size_t base = first * CB_PAGE, span = (last + 1 - first) * CB_PAGE;
    uint16_t *weights = (uint16_t *)(scores + CB_ROWS * span);
    // All areas of keys come first, then all areas of values, and then, likely, the next head's: the first queries, which
    // find them in no cache, ask for each while those before it are computed.
    const size_t count_of_pages = last + 1 - first;
    const bool asks = f == 0;
#define CB_AREA(p, which) ((const char *)cache->pages[p] + (cache->offset + (2 * head + (which)) * area) * size)
#define CB_ASK(i) \
  if (asks) { \
    const size_t n = (i); \
    ask(CB_AREA(first + n % count_of_pages, n / count_of_pages), area * size); \
  }
    CB_ASK(0) CB_ASK(1)
    for (size_t r = 0; r < count; r++) {
      const float *from = q + (f + r) / group * ldq + (f + r) % group * d;
      if (half)
        round_half(from, d, (uint16_t *)queries + r * d);
      else
        memcpy(queries + r * d, from, d * sizeof *from);
    }
    for (size_t p = first; p <= last; p++) {
      const char *keys = CB_AREA(p, 0);
      CB_ASK(p - first + 2)
      float *to = scores + p * CB_PAGE - base;
      if (half)
        product_half(count, d / 2, (const uint16_t *)queries, d, (const uint32_t *)keys, CB_PAGE, NULL, CB_BIAS, to,
                     span);
      else
        linear(queries, count, d, d, (const float *)keys, CB_PAGE, NULL, CB_BIAS, to, span);
    }
    float sums[CB_ROWS];
    for (size_t r = 0; r < count; r++) {
      const size_t end = cache->position + (f + r) / group + 1, begin = reach(end, cache->window);
      sums[r] = half ? softmax_span_half(scores + r * span, begin - base, end - base, span, cache->scale,
                                         weights + r * span)
                     : softmax_span(scores + r * span, begin - base, end - base, span, cache->scale);
    }
    for (size_t p = first; p <= last; p++) {
      const char *values = CB_AREA(p, 1);
      CB_ASK(p - first + 2 + count_of_pages)
      const cb_epilogue kind = p == first ? CB_BIAS : CB_ADD;
      const size_t place = p * CB_PAGE - base;
      if (half)
        product_half(count, CB_PAGE / 2, weights + place, span, (const uint32_t *)values, d, NULL, kind, mixed, d);
      else
        linear(scores + place, count, CB_PAGE, span, (const float *)values, d, NULL, kind, mixed, d);
    }
    for (size_t r = 0; r < count; r++) {
      float *to = out + (f + r) / group * ldo + (f + r) % group * d;
      for (size_t i = 0; i < d; i += CB_LANES) store(to + i, load(mixed + r * d + i) / sums[r] + 0.0f);
    }
  }
#undef CB_AREA
#undef CB_ASK
}

static void cache_attention(const float *q, size_t ldq, size_t rows, size_t group, size_t head, const cb_cache *cache,
                            float *scratch, float *out, size_t ldo) {
  attend(false, q, ldq, rows, group, head, cache, scratch, out, ldo);
}

static void cache_attention_half(const float *q, size_t ldq, size_t rows, size_t group, size_t head,
                                 const cb_cache *cache, float *scratch, float *out, size_t ldo) {
  attend(true, q, ldq, rows, group, head, cache, scratch, out, ldo);
}
