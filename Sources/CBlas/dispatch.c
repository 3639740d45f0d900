// Picks the kernels for this processor, and holds what needs no instruction set.

#include <string.h>

#include "kernels.h"

static const cb_kernels *_Atomic chosen = &cb_kernels_portable;

static bool supported(const cb_kernels *kernels) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (kernels == &cb_kernels_avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (kernels == &cb_kernels_avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return kernels == &cb_kernels_portable;
}

static const cb_kernels *const all[] = {
#if defined(__x86_64__)
    &cb_kernels_avx512,
    &cb_kernels_avx2,
#endif
    &cb_kernels_portable,
};

// Runs before main: the choice is made once, and threads only read it. (Tests change it: hence atomic.)
__attribute__((constructor)) static void choose(void) {
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (supported(all[i])) {
      chosen = all[i];
      return;
    }
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
  size_t padded = (tokens + CB_LANES - 1) / CB_LANES * CB_LANES;
  return padded * head_width + tokens * head_width + tokens * padded;
}

void cb_linear(const float *x, size_t rows, size_t inputs, size_t ldx, const float *packed, size_t outputs,
               const float *bias, float *y, size_t ldy) {
  chosen->linear(x, rows, inputs, ldx, packed, outputs, bias, y, ldy);
}

void cb_attention(const float *qkv, size_t tokens, size_t heads, size_t head_width, float scale, float *scratch,
                  float *out) {
  chosen->attention(qkv, tokens, heads, head_width, scale, scratch, out);
}

void cb_add_layernorm(float *x, const float *residual, size_t rows, size_t width, const float *gain, const float *bias,
                      float epsilon) {
  chosen->add_layernorm(x, residual, rows, width, gain, bias, epsilon);
}

void cb_gelu(float *x, size_t count) { chosen->gelu(x, count); }

void cb_embed(const float *word, const float *segment, const float *position, size_t width, float *out) {
  chosen->embed(word, segment, position, width, out);
}

void cb_mean(const float *x, size_t rows, size_t width, float *out) { chosen->mean(x, rows, width, out); }

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
