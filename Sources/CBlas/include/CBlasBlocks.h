// Weights in blocks of small integers, as GGUF files hold them, and their products.
//
// A weight is scale · (q − zero), or scale · q + minimum: q an unsigned integer of 4, 5, 6 or 8 bits, scale and minimum
// the same for 32 (Q6_K: 16) neighbouring inputs of one output. Activations are signed bytes with a step for each 32.
// The product of 32 inputs is an exact 32-bit integer; what follows is one chain of fused multiply-adds over the blocks,
// rising, for each output. So a row's bits depend neither on the other rows of a call nor on the instruction set.

#ifndef CBLAS_BLOCKS_H
#define CBLAS_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Inputs that share one step of the activations; every block's length is a multiple of it.
#define CB_STEP 32

/// Formats of blocks, by GGUF's names.
typedef enum { CB_Q4_0, CB_Q4_1, CB_Q5_0, CB_Q5_1, CB_Q8_0, CB_Q4_K, CB_Q5_K, CB_Q6_K } cb_block_type;

/// Weights in one block of a file: 32 or 256.
size_t cb_block_length(cb_block_type type);

/// Bytes of one block of a file.
size_t cb_block_bytes(cb_block_type type);

/// Dequantises `count` blocks of a file into floats, each as scale · (q − zero) or scale · q ± minimum, rounded after
/// every operation.
void cb_block_dequantize(cb_block_type type, const uint8_t *blocks, size_t count, float *out);

/// Bytes of a packed panel of CB_LANES outputs: a multiple of 64, within 3 % (and 64 bytes) of what the file has.
size_t cb_block_panel_bytes(cb_block_type type, size_t inputs);

/// Packs `count` rows of a file (1 to CB_LANES outputs; `inputs` a multiple of the block's length) into one panel, zeros
/// behind them. Nothing is lost. False when a scale or minimum is infinite or not a number.
bool cb_block_pack(cb_block_type type, const uint8_t *rows, size_t count, size_t inputs, uint8_t *panel);

/// The weights of one output of packed panels, dequantised as by `cb_block_dequantize`.
void cb_block_row(cb_block_type type, const uint8_t *packed, size_t inputs, size_t output, float *out);

/// How 32 activations of one row are read: x = step · q.
typedef struct {
  float step;
  /// step · Σq: what a minimum of 1 adds to a product.
  float total;
  /// −Σq of the first sixteen, of the last sixteen, and of all.
  int32_t minus[3];
} cb_block_step;

/// Quantises each 32 floats of x (rows × width, a multiple of CB_STEP) by themselves: the greatest magnitude becomes
/// 127. Below 1e-30, all are zero. Rows of x are `ldx` apart, those of q `ldq` (a multiple of CB_STEP), those of `steps` a
/// CB_STEP-th of that.
void cb_block_quantize(const float *x, size_t ldx, size_t rows, size_t width, int8_t *q, size_t ldq,
                       cb_block_step *steps);

/// Packed panels, one after the other.
typedef struct {
  const uint8_t *packed;
  cb_block_type type;
  size_t inputs;
} cb_block_weight;

/// y = epilogue(dequantised x · Wᵀ + bias), of the outputs first ..< first + count, both multiples of CB_LANES: callers
/// share them among threads. q: (rows, inputs) and its steps; y and bias begin at output 0 (bias may be null), rows
/// `ldy` elements apart, of the kind that the epilogue writes; GELU to 2e-4.
void cb_block_linear(const int8_t *q, const cb_block_step *steps, size_t rows, const cb_block_weight *weight,
                     size_t first, size_t count, const float *bias, cb_epilogue epilogue, void *y, size_t ldy);

#endif
