// The arithmetic of transformers, encoders and decoders: 32-bit floats, and products of bytes.
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

/// The instruction set in use: "avx512bf16", "avx512", "avxvnni", "avx2" or "portable", the best that the processor has and the
/// environment variable EPHEMERALML_KERNEL, one of these words, allows. All give the same bits.
const char *cb_kernel_name(void);

/// The name of the best instruction set that the processor has and `cap` allows; null when `cap` is unknown.
const char *cb_kernel_under(const char *cap);

/// Takes another instruction set; false when the name is unknown or the processor lacks it. For tests.
bool cb_select_kernel(const char *name);

/// Floats that `cb_pack` writes for a weight of `outputs` × `inputs`.
size_t cb_packed_size(size_t outputs, size_t inputs);

/// Packs a weight (outputs × inputs, as the model file has it) into panels of CB_LANES outputs, zeros beyond the last.
void cb_pack(const float *weight, size_t outputs, size_t inputs, size_t ld, float *packed);

/// What is done to a product before it is stored.
typedef enum {
  /// y = v
  CB_BIAS,
  /// y = gelu(v); after an int8 product to 2e-4 only, a fraction of a step of what it is rounded to next
  CB_GELU,
  /// y = y + v
  CB_ADD,
  /// y = v, rounded to bfloat16; y is uint16_t. After products of bfloat16, or int8, where only denormal numbers become zero.
  CB_BIAS_BF16,
  /// y = gelu(v) to 2e-4, rounded to bfloat16; y is uint16_t. After products of bfloat16 or int8, as before.
  CB_GELU_BF16
} cb_epilogue;

/// y = epilogue(x · Wᵀ + bias). `packed` comes from `cb_pack`; `outputs` is a multiple of CB_LANES; `bias` may be null.
void cb_linear(const float *x, size_t rows, size_t inputs, size_t ldx, const float *packed, size_t outputs,
               const float *bias, cb_epilogue epilogue, float *y, size_t ldy);

// bfloat16: the upper half of a float, held in uint16_t. Products of pairs of them are added to a float one after the
// other, the odd element first, as AVX512-BF16's instruction does it. Rounding is to the nearest, ties to even, and
// numbers below 2⁻⁵⁶ become zero.

/// Rounds `count` floats, a multiple of CB_LANES.
void cb_bf16_round(const float *x, size_t count, uint16_t *out);

/// Rounds a weight (outputs × inputs, both multiples of CB_LANES) and packs it: outputs · inputs / 2 words, each of two
/// neighbouring inputs, in panels of CB_LANES outputs.
void cb_bf16_pack(const float *weight, size_t outputs, size_t inputs, uint32_t *packed);

/// y = epilogue(x · Wᵀ + bias). x: (rows, inputs); y: floats or bfloat16, as the epilogue has it, rows `ldy` of them
/// apart. `bias` may be null.
void cb_bf16_linear(const uint16_t *x, size_t rows, size_t inputs, const uint32_t *packed, size_t outputs,
                    const float *bias, cb_epilogue epilogue, void *y, size_t ldy);

// int8: y = step · scale · (q − zero) · w + bias. Activations are unsigned bytes, each row (token) with its own step and
// zero point; weights are signed bytes, each output with its own scale. Sums are exact 32-bit integers.

/// How one row of quantised activations is read: x = step · (q − zero).
typedef struct {
  float step;
  int32_t zero;
} cb_row;

/// A weight in signed bytes, packed: for each panel of CB_LANES outputs and each four inputs, the four bytes of each
/// output. `inputs` is a multiple of CB_LANES, and at most CB_INT8_INPUTS.
typedef struct {
  const int8_t *packed;
  /// One for each output.
  const float *scales;
  /// The sum of each output's bytes: what a zero point of 1 adds to its product.
  const int32_t *sums;
  size_t outputs;
  size_t inputs;
} cb_int8_weight;

/// The most inputs whose sums, with the zero point's share, fit 32 bits: 255 · 127 · 2 · 32768 < 2³¹.
#define CB_INT8_INPUTS 32768

/// Quantises a weight (outputs × inputs) and packs it: outputs · inputs bytes, `outputs` scales and sums. `outputs` is a
/// multiple of CB_LANES. Each output's greatest weight becomes 127.
void cb_int8_pack(const float *weight, size_t outputs, size_t inputs, int8_t *packed, float *scales, int32_t *sums);

/// Quantises each row of x (rows × width) by itself. `channel_factor` (width floats, or null) multiplies every input
/// channel before: it undoes what the weight's channels were scaled by, to take outliers out of the activations.
void cb_int8_quantize(const float *x, size_t rows, size_t width, const float *channel_factor, uint8_t *q, cb_row *row);

/// The same from rows of bfloat16.
void cb_int8_quantize_bf16(const uint16_t *x, size_t rows, size_t width, const float *channel_factor, uint8_t *q,
                           cb_row *row);

/// y = epilogue(dequantised q · Wᵀ + bias). q: (rows, weight.inputs); y: floats or bfloat16, as the epilogue has it.
void cb_int8_linear(const uint8_t *q, const cb_row *row, size_t rows, const cb_int8_weight *weight, const float *bias,
                    cb_epilogue epilogue, void *y, size_t ldy);

/// Floats of scratch that `cb_attention` and `cb_bf16_attention` need for a sequence of `tokens`.
size_t cb_attention_scratch(size_t tokens, size_t head_width);

/// What a head adds to the score of a query and a key by how far apart they stand.
typedef struct {
  /// (heads, 2·limit − 1): of each head, the distances key − query from 1 − limit to limit − 1.
  const float *values;
  /// No sequence has more tokens.
  size_t limit;
} cb_distance_bias;

/// One sequence's attention, and which of its heads are computed.
typedef struct {
  size_t tokens;
  size_t heads;
  size_t head_width;
  size_t first_head;
  size_t end_head;
} cb_attention_part;

/// out = softmax(Q·Kᵀ · scale + bias) · V, every token seeing every other; of `out`, the columns of the part's heads.
/// qkv: (tokens, 3·heads·head_width) holding Q, K and V side by side; out: (tokens,
/// heads·head_width). `bias` may be null.
void cb_attention(const float *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias, float *scratch,
                  float *out);

/// The same in bfloat16: products, and the weights of the softmax, whose exponential is exact to 8e-5.
void cb_bf16_attention(const uint16_t *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias,
                       float *scratch, uint16_t *out);

/// The same from bfloat16 by products of bytes: a head's queries have one step, keys and values one for each token.
/// Of `out`, only denormal numbers become zero.
void cb_int8_attention(const uint16_t *qkv, cb_attention_part part, float scale, const cb_distance_bias *bias,
                       float *scratch, uint16_t *out);

/// What a row is divided and moved by after its mean and deviation.
typedef struct {
  const float *gain;
  const float *bias;
  float epsilon;
} cb_norm;

/// x = layernorm(x) · gain + bias, row by row.
void cb_layernorm(float *x, size_t rows, size_t width, const float *gain, const float *bias, float epsilon);

/// The same, but each difference multiplied by the deviation's inverse, and the rows rounded to bfloat16 in `out`.
void cb_layernorm_bf16(float *x, size_t rows, size_t width, const cb_norm *norm, uint16_t *out);

/// The same as that, but the rows quantised as by `cb_int8_quantize`.
void cb_layernorm_int8(float *x, size_t rows, size_t width, const cb_norm *norm, const float *channel_factor,
                       uint8_t *q, cb_row *row);

/// x = x · Φ(x): the exact (erf) GELU of BERT. `count` is a multiple of CB_LANES.
void cb_gelu(float *x, size_t count);

/// Functions of one number beside the exact GELU.
typedef enum {
  CB_RELU,
  CB_TANH,
  CB_SIGMOID,
  /// GELU by tanh: ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
  CB_GELU_TANH
} cb_activation;

/// x = f(x). `count` is a multiple of CB_LANES.
void cb_activate(cb_activation kind, float *x, size_t count);

/// x = softmax(x), one row of `count` floats, with room for a multiple of CB_LANES; zeros beyond the last.
void cb_softmax(float *x, size_t count);

/// out = word + segment + position, one row; all of `width` floats.
void cb_embed(const float *word, const float *segment, const float *position, size_t width, float *out);

/// out = the mean of `rows` rows, summed in order.
void cb_mean(const float *x, size_t rows, size_t width, float *out);

/// out = the greatest of `rows` rows in each column.
void cb_max(const float *x, size_t rows, size_t width, float *out);

/// x = x / max(‖x‖₂, 1e-12), one row.
void cb_l2_normalize(float *x, size_t width);

// Decoders. Keys and values of a sequence lie in pages of CB_PAGE tokens, each for all layers: of a layer first the keys
// of the first head, then its values, then those of the next head. Both are packed for the products of attention: as
// cb_pack packs a weight whose outputs are the page's tokens (keys), and one whose inputs they are (values). In bfloat16
// it is the packing of cb_bf16_pack.

/// Tokens of a page.
#define CB_PAGE 32

/// One layer's keys and values of one sequence.
typedef struct {
  /// By position / CB_PAGE; those that nothing reaches may be null.
  void *const *pages;
  /// Numbers of a page before this layer's: 2 · heads · CB_PAGE · head_width for each layer before it.
  size_t offset;
  /// A multiple of CB_LANES.
  size_t head_width;
  /// Of the first row.
  size_t position;
  /// Tokens that one sees, itself included; 0 for all before it.
  size_t window;
  /// What scores are multiplied by.
  float scale;
} cb_cache;

/// out = x / √(mean(x²) + epsilon) · gain, row by row. out may be x.
void cb_rmsnorm(const float *x, size_t rows, size_t width, const float *gain, float epsilon, float *out);

/// Turns each head's pairs of numbers by its row's angles: (a, b) becomes (a·cos − b·sin, b·cos + a·sin). A pair is i
/// and i + head_width / 2, or 2i and 2i + 1 where `interleaved`. Rows are `ld` apart; cosines and sines: (rows,
/// head_width / 2).
void cb_rotate(float *x, size_t rows, size_t ld, size_t heads, size_t head_width, const float *cosines,
               const float *sines, bool interleaved);

/// out = silu(x) · with. All (rows, width), rows of the former two `ldx`, of out `ldo` apart; out may be either of them.
void cb_silu_multiply(const float *x, const float *with, size_t ldx, size_t rows, size_t width, float *out, size_t ldo);

/// Stores the keys and values of consecutive tokens, from `cache->position` on, as floats. k, v: (rows, heads ·
/// head_width), rows `ld` apart.
void cb_cache_store(const float *k, const float *v, size_t ld, size_t rows, size_t heads, const cb_cache *cache);

/// The same, rounded to bfloat16.
void cb_cache_store_bf16(const float *k, const float *v, size_t ld, size_t rows, size_t heads, const cb_cache *cache);

/// Floats of scratch that `cb_cache_attention` and `cb_cache_attention_bf16` need for a sequence of `tokens`.
size_t cb_cache_scratch(size_t tokens, size_t head_width);

/// out = softmax(Q·Kᵀ · scale) · V for consecutive tokens, whose keys and values are stored, and for the `group` heads of
/// queries that share the keys of one `head`; each token sees itself and those before it. q, out: (rows, group ·
/// head_width) in rows `ldq` and `ldo` apart.
void cb_cache_attention(const float *q, size_t ldq, size_t rows, size_t group, size_t head, const cb_cache *cache,
                        float *scratch, float *out, size_t ldo);

/// The same over keys and values in bfloat16, in which the products are computed.
void cb_cache_attention_bf16(const float *q, size_t ldq, size_t rows, size_t group, size_t head,
                             const cb_cache *cache, float *scratch, float *out, size_t ldo);

// Choosing a token by its logits. Any count; nothing needs to be aligned.

/// Where the greatest of `count` finite numbers stands; of equal ones the first.
size_t cb_first_greatest(const float *x, size_t count);

/// out = exp((x − top) · scale) in doubles, which no number's exponent may pass by more than 700; 0 below e⁻⁷⁰⁰.
void cb_exponentials(const float *x, size_t count, double top, double scale, double *out);

/// The sum of `count` numbers.
double cb_total(const double *x, size_t count);

/// Where the running sum of weights, none of them negative and one at least above zero, goes beyond `left`, which is from
/// 0 to below their total. Weights of zero are never chosen.
size_t cb_draw(const double *weights, size_t count, double left);

/// Of each column of x (rows × width): raises `greatest` to its greatest |x|, and adds its squares, row by row.
void cb_channel_statistics(const float *x, size_t rows, size_t width, float *greatest, double *squares);

/// True when no float is infinite or NaN.
bool cb_all_finite(const float *x, size_t count);

/// Overwrites memory with zeros; never optimised away.
void cb_wipe(void *memory, size_t bytes);

/// Processors that this process may use.
size_t cb_processors(void);

/// Lets another hyperthread go first for a moment: for loops that wait.
static inline void cb_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

#include "CBlasBlocks.h"

#ifdef __cplusplus
}
#endif

#endif
