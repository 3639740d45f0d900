// Picks the kernels for this processor, and holds what needs no instruction set.

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#pragma STDC FP_CONTRACT OFF

static const cb_kernels *_Atomic chosen = &cb_kernels_portable;

#if defined(__x86_64__)
// Leaf 7.1, EAX bit 4: the compiler's own test does not know it. That the system saves the registers goes with AVX2.
static bool has_avxvnni(void) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

static bool supported(const cb_kernels *kernels) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (kernels == &cb_kernels_avx512bf16 && !__builtin_cpu_supports("avx512bf16")) return false;
  if (kernels == &cb_kernels_avx512bf16 || kernels == &cb_kernels_avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (kernels == &cb_kernels_avxvnni && !has_avxvnni()) return false;
  if (kernels == &cb_kernels_avxvnni || kernels == &cb_kernels_avx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return kernels == &cb_kernels_portable;
}

static const cb_kernels *const all[] = {
#if defined(__x86_64__)
    &cb_kernels_avx512bf16,
    &cb_kernels_avx512,
    &cb_kernels_avxvnni,
    &cb_kernels_avx2,
#endif
    &cb_kernels_portable,
};

// The best kernels that the processor has and the cap allows; NULL when there are none of that name.
static const cb_kernels *best(const char *cap) {
  bool isAllowed = cap == NULL;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    isAllowed = isAllowed || strcmp(all[i]->name, cap) == 0;
    if (isAllowed && supported(all[i])) return all[i];
  }
  return NULL;
}

// Runs before main: the choice is made once, and threads only read it. (Tests change it: hence atomic.) What comes of a
// name that is unknown is the engine's to say: here nobody can be told.
__attribute__((constructor)) static void choose(void) {
  const char *cap = getenv("EPHEMERALML_KERNEL");
  const cb_kernels *allowed = best(cap && *cap ? cap : NULL);
  if (allowed) chosen = allowed;
}

const char *cb_kernel_under(const char *cap) {
  const cb_kernels *allowed = best(cap);
  return allowed ? allowed->name : NULL;
}

const char *cb_kernel_name(void) { return chosen->name; }

bool cb_select_kernel(const char *name) {
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(all[i]->name, name) == 0 && supported(all[i])) {
      chosen = all[i];
      return true;
    }
  return false;
}

size_t cb_packed_size(size_t outputs, size_t inputs) {
  return (outputs + CB_LANES - 1) / CB_LANES * CB_LANES * inputs;
}

void cb_pack(const float *weight, size_t outputs, size_t inputs, size_t ld, float *packed) {
  for (size_t o = 0; o < outputs; o += CB_LANES, packed += CB_LANES * inputs) {
    size_t count = outputs - o < CB_LANES ? outputs - o : CB_LANES;
    if (count < CB_LANES) memset(packed, 0, CB_LANES * inputs * sizeof *packed);
    for (size_t j = 0; j < count; j++)
      for (size_t k = 0; k < inputs; k++) packed[k * CB_LANES + j] = weight[(o + j) * ld + k];
  }
}

size_t cb_attention_scratch(size_t tokens, size_t head_width) {
  // Keys, values, and the scores of a few queries at a time, once more as half as many for their weights.
  const size_t padded = (tokens + CB_LANES - 1) / CB_LANES * CB_LANES, queries = 12;
  return 2 * padded * head_width + (queries + queries / 2) * padded;
}

void cb_linear(const float *x, size_t rows, size_t inputs, size_t ldx, const float *packed, size_t outputs,
               const float *bias, cb_epilogue epilogue, float *y, size_t ldy) {
  chosen->linear(x, rows, inputs, ldx, packed, outputs, bias, epilogue, y, ldy);
}

void cb_attention(const float *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias, float *scratch,
                  float *out) {
  chosen->attention(qkv, part, scale, bias, scratch, out);
}

void cb_layernorm(float *x, size_t rows, size_t width, const float *gain, const float *bias, float epsilon) {
  chosen->layernorm(x, rows, width, gain, bias, epsilon);
}

void cb_gelu(float *x, size_t count) { chosen->gelu(x, count); }

void cb_activate(cb_activation kind, float *x, size_t count) { chosen->activate(kind, x, count); }

void cb_softmax(float *x, size_t count) { chosen->softmax(x, count); }

void cb_max(const float *x, size_t rows, size_t width, float *out) { chosen->greatest(x, rows, width, out); }

void cb_embed(const float *word, const float *segment, const float *position, size_t width, float *out) {
  chosen->embed(word, segment, position, width, out);
}

void cb_mean(const float *x, size_t rows, size_t width, float *out) { chosen->mean(x, rows, width, out); }

// Plain loops: it happens once, and the compiler may not join or reorder what it rounds.
void cb_int8_pack(const float *weight, size_t outputs, size_t inputs, int8_t *packed, float *scales, int32_t *sums) {
  for (size_t o = 0; o < outputs; o++) {
    const float *w = weight + o * inputs;
    float most = 0;
    for (size_t k = 0; k < inputs; k++) {
      float size = w[k] < 0 ? -w[k] : w[k];
      if (size > most) most = size;
    }
    const float inverse = most > 0 ? 127.0f / most : 0.0f;
    int8_t *panel = packed + o / CB_LANES * CB_LANES * inputs + o % CB_LANES * 4;
    int32_t sum = 0;
    for (size_t k = 0; k < inputs; k++) {
      const float magic = 12582912.0f;  // 1.5 · 2²³: adding it rounds to an integer
      const float scaled = w[k] * inverse;
      float rounded = (scaled + magic) - magic;
      rounded = rounded > 127 ? 127 : rounded > -127 ? rounded : -127;
      panel[k / 4 * 4 * CB_LANES + k % 4] = (int8_t)rounded;
      sum += (int8_t)rounded;
    }
    scales[o] = most / 127.0f;
    sums[o] = sum;
  }
}

void cb_int8_quantize(const float *x, size_t rows, size_t width, const float *channel_factor, uint8_t *q, cb_row *row) {
  chosen->quantize(x, rows, width, channel_factor, q, row);
}

void cb_int8_quantize_bf16(const uint16_t *x, size_t rows, size_t width, const float *channel_factor, uint8_t *q,
                           cb_row *row) {
  chosen->quantize_half(x, rows, width, channel_factor, q, row);
}

void cb_bf16_round(const float *x, size_t count, uint16_t *out) { chosen->round_half(x, count, out); }

void cb_bf16_pack(const float *weight, size_t outputs, size_t inputs, uint32_t *packed) {
  for (size_t o = 0; o < outputs; o++)
    for (size_t k = 0; k < inputs; k += CB_LANES) {
      uint16_t rounded[CB_LANES];
      cb_bf16_round(weight + o * inputs + k, CB_LANES, rounded);
      uint32_t *panel = packed + o / CB_LANES * CB_LANES * inputs / 2 + o % CB_LANES;
      for (size_t i = 0; i < CB_LANES; i += 2)
        panel[(k + i) / 2 * CB_LANES] = rounded[i] | (uint32_t)rounded[i + 1] << 16;
    }
}

void cb_bf16_linear(const uint16_t *x, size_t rows, size_t inputs, const uint32_t *packed, size_t outputs,
                    const float *bias, cb_epilogue epilogue, void *y, size_t ldy) {
  chosen->linear_half(x, rows, inputs, packed, outputs, bias, epilogue, y, ldy);
}

void cb_bf16_attention(const uint16_t *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias,
                       float *scratch, uint16_t *out) {
  chosen->attention_half(qkv, part, scale, bias, scratch, out);
}

void cb_int8_attention(const uint16_t *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias,
                       float *scratch, uint16_t *out) {
  chosen->attention8(qkv, part, scale, bias, scratch, out);
}

void cb_layernorm_bf16(float *x, size_t rows, size_t width, const cb_norm *norm, uint16_t *out) {
  chosen->layernorm_half(x, rows, width, norm, out);
}

void cb_layernorm_int8(float *x, size_t rows, size_t width, const cb_norm *norm, const float *channel_factor,
                       uint8_t *q, cb_row *row) {
  chosen->layernorm8(x, rows, width, norm, channel_factor, q, row);
}

void cb_int8_linear(const uint8_t *q, const cb_row *row, size_t rows, const cb_int8_weight *weight, const float *bias,
                    cb_epilogue epilogue, void *y, size_t ldy) {
  chosen->linear8(q, row, rows, weight, bias, epilogue, y, ldy);
}

void cb_rmsnorm(const float *x, size_t rows, size_t width, const float *gain, float epsilon, float *out) {
  chosen->rmsnorm(x, rows, width, gain, epsilon, out);
}

void cb_rotate(float *x, size_t rows, size_t ld, size_t heads, size_t head_width, const float *cosines,
               const float *sines, bool interleaved) {
  chosen->rotate(x, rows, ld, heads, head_width, cosines, sines, interleaved);
}

void cb_silu_multiply(const float *x, const float *with, size_t ldx, size_t rows, size_t width, float *out, size_t ldo) {
  chosen->silu_multiply(x, with, ldx, rows, width, out, ldo);
}

void cb_cache_attention(const float *q, size_t ldq, size_t rows, size_t group, size_t head, const cb_cache *cache,
                        float *scratch, float *out, size_t ldo) {
  chosen->cache_attention(q, ldq, rows, group, head, cache, scratch, out, ldo);
}

void cb_cache_attention_bf16(const float *q, size_t ldq, size_t rows, size_t group, size_t head,
                             const cb_cache *cache, float *scratch, float *out, size_t ldo) {
  chosen->cache_attention_half(q, ldq, rows, group, head, cache, scratch, out, ldo);
}

void cb_block_quantize(const float *x, size_t ldx, size_t rows, size_t width, int8_t *q, size_t ldq,
                       cb_block_step *steps) {
  chosen->quantize_blocks(x, ldx, rows, width, q, ldq, steps);
}

void cb_block_linear(const int8_t *q, const cb_block_step *steps, size_t rows, const cb_block_weight *weight,
                     size_t first, size_t count, const float *bias, cb_epilogue epilogue, void *y, size_t ldy) {
  chosen->linear_blocks(q, steps, rows, weight, first, count, bias, epilogue, y, ldy);
}

size_t cb_first_greatest(const float *x, size_t count) { return chosen->first_greatest(x, count); }

void cb_exponentials(const float *x, size_t count, double top, double scale, double *out) {
  chosen->exponentials(x, count, top, scale, out);
}

double cb_total(const double *x, size_t count) { return chosen->total(x, count); }

size_t cb_draw(const double *weights, size_t count, double left) { return chosen->draw(weights, count, left); }

void cb_l2_normalize(float *x, size_t width) { chosen->l2_normalize(x, width); }

// The exponent's bits are all ones exactly in infinities and NaNs.
bool cb_all_finite(const float *x, size_t count) {
  uint32_t bad = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    bad |= (bits & 0x7f800000u) == 0x7f800000u;
  }
  return bad == 0;
}

void cb_wipe(void *memory, size_t bytes) {
  memset(memory, 0, bytes);
  __asm__ volatile("" : : "r"(memory) : "memory");
}
