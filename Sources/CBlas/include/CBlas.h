// The arithmetic of a transformer encoder in 32-bit floats.
//
// Every kernel computes each row by itself, by one fixed sequence of IEEE operations: a dot product is one chain of
// fused multiply-adds over k, rising; a row's sum is sixteen interleaved sums, joined in one fixed tree. Nothing is
// left to the compiler's or the libm's choice. So a row's bits do not depend on the rows around it, on the number of
// threads, or on the instruction set: AVX-512, AVX2 and portable code give the same bits.
//
// Matrices are row-major; `ld…` is the distance between rows in floats. Widths are multiples of CB_LANES.

#ifndef CBLAS_H
#define CBLAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Floats in a panel of packed weights, and the width that every row is a multiple of.
#define CB_LANES 16

/// The instruction set in use: "avx512", "avx2" or "portable".
const char *cb_kernel_name(void);

/// Takes another instruction set; false when the name is unknown or the processor lacks it. For tests.
bool cb_select_kernel(const char *name);

/// Floats that `cb_pack` writes for a weight of `outputs` × `inputs`.
size_t cb_packed_size(size_t outputs, size_t inputs);

/// Packs a weight (outputs × inputs, as the model file has it) into panels of CB_LANES outputs, zeros beyond the last.
void cb_pack(const float *weight, size_t outputs, size_t inputs, size_t ld, float *packed);

/// y = x · Wᵀ + bias. `packed` comes from `cb_pack`; `outputs` is a multiple of CB_LANES; `bias` may be null.
void cb_linear(const float *x, size_t rows, size_t inputs, size_t ldx, const float *packed, size_t outputs,
               const float *bias, float *y, size_t ldy);

/// Floats of scratch that `cb_attention` needs for a sequence of `tokens`.
size_t cb_attention_scratch(size_t tokens, size_t head_width);

/// out = softmax(Q·Kᵀ · scale) · V for one sequence and all its heads, every token seeing every other.
/// qkv: (tokens, 3·heads·head_width) holding Q, K and V side by side; out: (tokens, heads·head_width).
void cb_attention(const float *qkv, size_t tokens, size_t heads, size_t head_width, float scale, float *scratch,
                  float *out);

/// x = layernorm(x + residual) · gain + bias, row by row; `residual` may be null.
void cb_add_layernorm(float *x, const float *residual, size_t rows, size_t width, const float *gain, const float *bias,
                      float epsilon);

/// x = x · Φ(x): the exact (erf) GELU of BERT. `count` is a multiple of CB_LANES.
void cb_gelu(float *x, size_t count);

/// out = word + segment + position, one row; all of `width` floats.
void cb_embed(const float *word, const float *segment, const float *position, size_t width, float *out);

/// out = the mean of `rows` rows, summed in order.
void cb_mean(const float *x, size_t rows, size_t width, float *out);

/// x = x / max(‖x‖₂, 1e-12), one row.
void cb_l2_normalize(float *x, size_t width);

/// True when no float is infinite or NaN.
bool cb_all_finite(const float *x, size_t count);

/// Overwrites memory with zeros; never optimised away.
void cb_wipe(void *memory, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
