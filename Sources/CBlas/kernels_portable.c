// Whatever the target's baseline offers: NEON on arm64; on old x86-64 the C library's fused multiply-add, which is
// slow and has the same bits.

#define CB_TABLE cb_kernels_portable
#define CB_NAME "portable"
#define CB_ROWS 4
#define CB_PANELS 1
#include "kernels_template.h"
