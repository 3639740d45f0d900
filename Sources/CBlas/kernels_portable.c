// Whatever the target's baseline offers: NEON on arm64; on old x86-64 the C library's fused multiply-add, which is
// slow and has the same bits.

#define CB_TABLE cb_kernels_portable
#define CB_NAME "portable"
#define CB_ROWS 4
#define CB_PANELS 1
#define CB_QROWS 4
#define CB_QPANELS 1
#define CB_QUAD(sum, x, w) quad16(sum, x, w)
#define CB_WROWS 2
#define CB_WPANELS 1
#define CB_DROWS 2
#if defined(__x86_64__)
// One loop for all formats takes a megabyte less. It is not unrolled as asked, and nobody waits for it here.
#define CB_ANY_TYPE 1
#pragma clang diagnostic ignored "-Wpass-failed"
#endif
#include "kernels_template.h"
