// AVX-512: 12 rows × 2 panels of 16 floats take 24 of 32 registers.

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define CB_TABLE cb_kernels_avx512
#define CB_NAME "avx512"
#define CB_ROWS 12
#define CB_PANELS 2
#include "kernels_template.h"
#pragma clang attribute pop
#endif
