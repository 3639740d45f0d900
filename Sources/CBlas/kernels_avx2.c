// AVX2 with FMA: 6 rows × 1 panel (two registers of 8 floats) take 12 of 16 registers.

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define CB_TABLE cb_kernels_avx2
#define CB_NAME "avx2"
#define CB_ROWS 6
#define CB_PANELS 1
#include "kernels_template.h"
#pragma clang attribute pop
#endif
