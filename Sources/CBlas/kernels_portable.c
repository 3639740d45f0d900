// Whatever the target's baseline offers: NEON on arm64; on old x86-64 the C library's fused multiply-add, which is
// slow and has the same bits.

#define CB_TABLE cb_kernels_portable
#define CB_NAME "portable"
#define CB_ROWS 4
#define CB_PANELS 1
#define CB_QROWS 4
#define CB_QPANELS 1
#define CB_QUAD(sum, x, w) quad16(sum, x, w)
#include "kernels_template.h"
