// AVX2 with FMA and VNNI in 256 bits (Intel since Alder Lake and Sierra Forest, AMD since Zen 5): as kernels_avx2.c, but
// one instruction adds four products of bytes.

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)

static inline __attribute__((always_inline)) __m256i quad8(__m256i sum, __m256i x, __m256i w) {
  return _mm256_dpbusd_avx_epi32(sum, x, w);
}

#define CB_TABLE cb_kernels_avxvnni
#define CB_NAME "avxvnni"
#define CB_ROWS 6
#define CB_PANELS 1
#define CB_QROWS 6
#define CB_QPANELS 1
#define CB_QUAD(sum, x, w) quad16(sum, x, w)
#define CB_QUAD_SPLIT 1
#define CB_QUAD_SINGLE 1
#define CB_WROWS 4
#define CB_WPANELS 1
#define CB_DROWS 4
#include "kernels_template.h"
#pragma clang attribute pop
#endif
