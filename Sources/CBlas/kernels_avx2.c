// AVX2 with FMA: 6 rows × 1 panel (two registers of 8 floats) take 12 of 16 registers.

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// vpmaddubsw adds two products in 16 bits and saturates: 255·127·2 is too much. The unsigned byte is therefore taken in
// two parts, its low seven bits and its high bit, whose pairs of products fit (127·127·2 and 128·127·2).
static inline __attribute__((always_inline)) __m256i quad8(__m256i sum, __m256i x, __m256i w) {
  const __m256i ones = _mm256_set1_epi16(1), low = _mm256_set1_epi8(127);
  __m256i a = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_and_si256(x, low), w), ones);
  __m256i b = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_andnot_si256(low, x), w), ones);
  return _mm256_add_epi32(sum, _mm256_add_epi32(a, b));
}

#define CB_TABLE cb_kernels_avx2
#define CB_NAME "avx2"
#define CB_ROWS 6
#define CB_PANELS 1
#define CB_QROWS 4
#define CB_QPANELS 1
#define CB_QUAD(sum, x, w) quad16(sum, x, w)
#define CB_QUAD_SPLIT 1
#define CB_WROWS 2
#define CB_WPANELS 1
#define CB_DROWS 2
#include "kernels_template.h"
#pragma clang attribute pop
#endif
