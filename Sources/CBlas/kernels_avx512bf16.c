// AVX-512 with products of bfloat16 pairs as well (Intel since Cooper Lake, AMD since Zen 4): as kernels_avx512.c.

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma"))), apply_to = function)

// The lowest byte of each lane. The compiler may not join it with the store that follows: narrowing straight into memory
// takes AMD's processors dozens of cycles.
static inline __attribute__((always_inline)) __m128i narrow512(__m512i v) {
  __m128i bytes = _mm512_cvtepi32_epi8(v);
  __asm__("" : "+v"(bytes));
  return bytes;
}

#define CB_TABLE cb_kernels_avx512bf16
#define CB_NAME "avx512bf16"
#define CB_ROWS 12
#define CB_PANELS 2
#define CB_QROWS 12
#define CB_QPANELS 2
#define CB_QUAD(sum, x, w) ((v16i)_mm512_dpbusd_epi32((__m512i)(sum), _mm512_set1_epi32(x), (__m512i)(w)))
#define CB_DOT2(sum, x, w) \
  ((v16)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)_mm512_set1_epi32((int32_t)(x)), (__m512bh)(w)))
#define CB_ROUND16(v) ((v16h)(__m256i)_mm512_cvtneps_pbh((__m512)(v)))
#define CB_NARROW16(v) ((v16c)narrow512((__m512i)(v)))
#define CB_WROWS 4
#define CB_WPANELS 2
#define CB_DROWS 8
#define CB_QUADW(sum, w, x, narrow) \
  ((v16i)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(w), _mm512_set1_epi32(x)))
#define CB_HALF16(p) ((v16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(p))))
#include "kernels_template.h"
#pragma clang attribute pop
#endif
