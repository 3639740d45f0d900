// AVX2 with FMA: 6 rows × 1 panel (two registers of 8 floats) take 12 of 16 registers.

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

// vpmaddubsw adds two products in 16 bits and saturates: 255·127·2 is too much. vpmaddwd adds two products of words in 32
// bits: so the first and third of four bytes, and then the second and fourth, are taken as words.
static inline __attribute__((always_inline)) __m256i quad8(__m256i sum, __m256i x, __m256i w) {
  const __m256i first = _mm256_madd_epi16(_mm256_and_si256(x, _mm256_set1_epi16(255)),
                                          _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
  const __m256i second = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
  return _mm256_add_epi32(_mm256_add_epi32(sum, first), second);
}

#define CB_TABLE cb_kernels_avx2
#define CB_NAME "avx2"
#define CB_ROWS 6
#define CB_PANELS 1
#define CB_QROWS 4
#define CB_QPANELS 1
#define CB_QUAD(sum, x, w) quad16(sum, x, w)
#define CB_QUAD_SPLIT 1
#define CB_QUAD_SINGLE 0
#define CB_WROWS 2
#define CB_WPANELS 1
#define CB_DROWS 2
#include "kernels_template.h"
#pragma clang attribute pop
#endif
