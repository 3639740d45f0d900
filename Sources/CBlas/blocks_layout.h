// How packed panels of blocks lie in memory; for blocks.c, which writes them, and blocks_template.h, which multiplies.
//
// A panel holds CB_LANES outputs: first the integers of all its inputs, then the scales.
//
// Integers, of each 32 inputs (eight quads of four; a quad of all outputs is 64 bytes, byte 4·output + input):
//   8 bits   eight quads
//   4 bits   four times 64 bytes: the low halves are quads 0…3, the high halves quads 4…7
//   5 bits   those, and 64 bytes whose bit j is the fifth of quad j
//   6 bits   those, and twice 64 bytes: bits 2j and 2j + 1 of the first are the upper two of quad j, of the second, of
//            quad 4 + j
//
// Scales: of each 32 inputs 16 binary16 scales, then 16 minima where the format has them. Formats of 256 have, of each
// 256 inputs, 16 binary16 scales, 16 binary16 scales of the minima where there are, and then, of each 32 inputs, 16 bytes
// that multiply the former and 16 that multiply the latter; Q6_K instead 16 signed bytes for each half of the 32.

#ifndef CBLAS_BLOCKS_LAYOUT_H
#define CBLAS_BLOCKS_LAYOUT_H

#include "include/CBlas.h"

typedef struct {
  int bits;
  /// What is subtracted from q is 1 << shift; 0: nothing is.
  int shift;
  bool has_minimum;
  /// Blocks of 256 inputs.
  bool is_long;
} cb_block_traits;

static inline __attribute__((always_inline)) cb_block_traits cb_traits(const cb_block_type type) {
  switch (type) {
    case CB_Q4_0: return (cb_block_traits){4, 3, false, false};
    case CB_Q4_1: return (cb_block_traits){4, 0, true, false};
    case CB_Q5_0: return (cb_block_traits){5, 4, false, false};
    case CB_Q5_1: return (cb_block_traits){5, 0, true, false};
    case CB_Q8_0: return (cb_block_traits){8, 7, false, false};
    case CB_Q4_K: return (cb_block_traits){4, 0, true, true};
    case CB_Q5_K: return (cb_block_traits){5, 0, true, true};
    case CB_Q6_K: return (cb_block_traits){6, 5, false, true};
  }
  return (cb_block_traits){8, 7, false, false};
}

/// Bytes of the integers of 32 inputs of a panel.
#define CB_QUANT_BYTES(bits) ((size_t)(bits) * CB_STEP * CB_LANES / 8)

/// Bytes of the scales of one block (of 32 or 256 inputs) of a panel.
static inline __attribute__((always_inline)) size_t cb_scale_bytes(const cb_block_traits t) {
  const size_t halves = 2 * CB_LANES * (t.has_minimum ? 2 : 1);
  return t.is_long ? halves + 8 * 2 * CB_LANES : halves;
}

#endif
