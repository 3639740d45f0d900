// Blocks as files hold them: read, dequantised, packed. No instruction set is needed here: it is done once at load.

#include <string.h>

#include "blocks_layout.h"

#pragma STDC FP_CONTRACT OFF

// One block of a file, or one output's share of a panel, in plain numbers.
typedef struct {
  uint8_t q[256];
  /// binary16: the scale, and the minimum or what scales the minima.
  uint16_t scale, minimum;
  /// Of blocks of 256: what multiplies the scale and the minimum of each 32 inputs; Q6_K: the scale of each 16.
  uint8_t scales[16], minima[8];
} plain_block;

size_t cb_block_length(cb_block_type type) { return cb_traits(type).is_long ? 256 : 32; }

size_t cb_block_bytes(cb_block_type type) {
  switch (type) {
    case CB_Q4_0: return 18;
    case CB_Q4_1: return 20;
    case CB_Q5_0: return 22;
    case CB_Q5_1: return 24;
    case CB_Q8_0: return 34;
    case CB_Q4_K: return 144;
    case CB_Q5_K: return 176;
    case CB_Q6_K: return 210;
  }
  return 0;
}

size_t cb_block_panel_bytes(cb_block_type type, size_t inputs) {
  const cb_block_traits t = cb_traits(type);
  const size_t bytes =
      inputs / CB_STEP * CB_QUANT_BYTES(t.bits) + inputs / cb_block_length(type) * cb_scale_bytes(t);
  return (bytes + 63) / 64 * 64;
}

static uint16_t half_at(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static void put_half(uint8_t *p, uint16_t half) {
  p[0] = (uint8_t)half;
  p[1] = (uint8_t)(half >> 8);
}

static bool is_finite(uint16_t half) { return (half & 0x7c00) != 0x7c00; }

// Exact for finite numbers: the exponent moves by 112 as a product with 2¹¹², which denormal numbers survive.
static float float_of(uint16_t half) {
  uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
  float v;
  memcpy(&v, &bits, sizeof v);
  v *= 0x1p112f;
  return half & 0x8000 ? -v : v;
}

// 32 integers: their low halves, with the first sixteen below the last sixteen, and a fifth bit each from `upper`.
static void read_halves(const uint8_t *low, uint32_t upper, uint8_t *q) {
  for (int i = 0; i < 16; i++) {
    q[i] = (uint8_t)((low[i] & 15) | (upper >> i & 1) << 4);
    q[i + 16] = (uint8_t)(low[i] >> 4 | (upper >> (i + 16) & 1) << 4);
  }
}

static uint32_t word_at(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

// Q4_K and Q5_K: eight scales and eight minima of six bits in twelve bytes.
static void read_six_bits(const uint8_t *p, plain_block *block) {
  for (int i = 0; i < 4; i++) {
    block->scales[i] = p[i] & 63;
    block->minima[i] = p[i + 4] & 63;
    block->scales[i + 4] = (uint8_t)((p[i + 8] & 15) | p[i] >> 6 << 4);
    block->minima[i + 4] = (uint8_t)(p[i + 8] >> 4 | p[i + 4] >> 6 << 4);
  }
}

// Here and below the inner loops are over neighbouring bytes, which the compiler computes in vectors.
static void read_q4_k(const uint8_t *p, const uint8_t *fifth, plain_block *block) {
  for (int part = 0; part < 8; part++) {
    const uint8_t *bytes = p + part / 2 * 32;
    uint8_t *q = block->q + 32 * part;
    if (part % 2)
      for (int i = 0; i < 32; i++) q[i] = bytes[i] >> 4;
    else
      for (int i = 0; i < 32; i++) q[i] = bytes[i] & 15;
    if (fifth)
      for (int i = 0; i < 32; i++) q[i] |= (uint8_t)((fifth[i] >> part & 1) << 4);
  }
}

static void read_q6_k(const uint8_t *p, plain_block *block) {
  for (int part = 0; part < 8; part++) {
    const int half = part / 4, quarter = part % 4;
    const uint8_t *bytes = p + half * 64 + quarter % 2 * 32, *high = p + 128 + half * 32;
    const int low = quarter < 2 ? 0 : 4, up = 2 * quarter;
    uint8_t *q = block->q + 32 * part;
    for (int i = 0; i < 32; i++) q[i] = (uint8_t)((bytes[i] >> low & 15) | (high[i] >> up & 3) << 4);
  }
  memcpy(block->scales, p + 192, 16);
  block->scale = half_at(p + 208);
}

// `type` is a constant where it is packed.
static inline __attribute__((always_inline)) void read_block(const cb_block_type type, const uint8_t *p,
                                                             plain_block *block) {
  switch (type) {
    case CB_Q4_0:
      block->scale = half_at(p);
      read_halves(p + 2, 0, block->q);
      break;
    case CB_Q4_1:
      block->scale = half_at(p);
      block->minimum = half_at(p + 2);
      read_halves(p + 4, 0, block->q);
      break;
    case CB_Q5_0:
      block->scale = half_at(p);
      read_halves(p + 6, word_at(p + 2), block->q);
      break;
    case CB_Q5_1:
      block->scale = half_at(p);
      block->minimum = half_at(p + 2);
      read_halves(p + 8, word_at(p + 4), block->q);
      break;
    case CB_Q8_0:
      block->scale = half_at(p);
      for (int i = 0; i < 32; i++) block->q[i] = p[2 + i] ^ 0x80;
      break;
    case CB_Q4_K:
    case CB_Q5_K:
      block->scale = half_at(p);
      block->minimum = half_at(p + 2);
      read_six_bits(p + 4, block);
      read_q4_k(type == CB_Q4_K ? p + 16 : p + 48, type == CB_Q4_K ? NULL : p + 16, block);
      break;
    case CB_Q6_K: read_q6_k(p, block); break;
  }
}

static void dequantize(cb_block_type type, const plain_block *block, float *out) {
  const cb_block_traits t = cb_traits(type);
  const float scale = float_of(block->scale), minimum = t.has_minimum ? float_of(block->minimum) : 0.0f;
  const int length = t.is_long ? 256 : 32, zero = t.shift ? 1 << t.shift : 0;
  for (int i = 0; i < length; i++) {
    const float q = (float)((int)block->q[i] - zero);
    if (!t.is_long)
      out[i] = t.has_minimum ? scale * q + minimum : scale * q;
    else if (t.has_minimum)
      out[i] = scale * (float)block->scales[i / 32] * q - minimum * (float)block->minima[i / 32];
    else
      out[i] = scale * (float)(int8_t)block->scales[i / 16] * q;
  }
}

void cb_block_dequantize(cb_block_type type, const uint8_t *blocks, size_t count, float *out) {
  const size_t length = cb_block_length(type), bytes = cb_block_bytes(type);
  for (size_t i = 0; i < count; i++) {
    plain_block block;
    read_block(type, blocks + i * bytes, &block);
    dequantize(type, &block, out + i * length);
  }
}

// The eight quads of 32 inputs of one output into a panel's integers, and back.
static inline __attribute__((always_inline)) void put_quads(const int bits, const uint8_t *q, size_t output,
                                                            uint8_t *place) {
  uint32_t quad[8], words[8] = {0};
  memcpy(quad, q, sizeof quad);
  for (int j = 0; j < 8; j++) {
    if (bits == 8) {
      words[j] = quad[j];
      continue;
    }
    words[j % 4] |= (quad[j] & 0x0f0f0f0f) << (j / 4 * 4);
    if (bits == 5) words[4] |= (quad[j] >> 4 & 0x01010101) << j;
    if (bits == 6) words[4 + j / 4] |= (quad[j] >> 4 & 0x03030303) << (2 * (j % 4));
  }
  for (int j = 0; j < bits; j++) memcpy(place + 64 * j + 4 * (int)output, words + j, 4);
}

static void get_quads(int bits, const uint8_t *place, size_t output, uint8_t *q) {
  uint32_t quad[8], words[8] = {0};
  for (int j = 0; j < bits; j++) memcpy(words + j, place + 64 * j + 4 * (int)output, 4);
  for (int j = 0; j < 8; j++) {
    quad[j] = bits == 8 ? words[j] : words[j % 4] >> (j / 4 * 4) & 0x0f0f0f0f;
    if (bits == 5) quad[j] |= (words[4] >> j & 0x01010101) << 4;
    if (bits == 6) quad[j] |= (words[4 + j / 4] >> (2 * (j % 4)) & 0x03030303) << 4;
  }
  memcpy(q, quad, sizeof quad);
}

static inline __attribute__((always_inline)) bool pack_as(const cb_block_type type, const uint8_t *rows, size_t count,
                                                          size_t inputs, uint8_t *panel) {
  const cb_block_traits t = cb_traits(type);
  const size_t length = cb_block_length(type), bytes = cb_block_bytes(type), blocks = inputs / length;
  const size_t quants = CB_QUANT_BYTES(t.bits), scale_bytes = cb_scale_bytes(t);
  memset(panel, 0, cb_block_panel_bytes(type, inputs));
  for (size_t o = 0; o < count; o++)
    for (size_t b = 0; b < blocks; b++) {
      plain_block block;
      read_block(type, rows + (o * blocks + b) * bytes, &block);
      if (!is_finite(block.scale) || (t.has_minimum && !is_finite(block.minimum))) return false;
      for (size_t i = 0; i < length; i += CB_STEP)
        put_quads(t.bits, block.q + i, o, panel + (b * length + i) / CB_STEP * quants);
      uint8_t *scales = panel + inputs / CB_STEP * quants + b * scale_bytes;
      put_half(scales + 2 * o, block.scale);
      scales += 2 * CB_LANES;
      if (t.has_minimum) {
        put_half(scales + 2 * o, block.minimum);
        scales += 2 * CB_LANES;
      }
      for (size_t i = 0; t.is_long && i < 8; i++, scales += 2 * CB_LANES) {
        scales[o] = t.has_minimum ? block.scales[i] : block.scales[2 * i];
        scales[CB_LANES + o] = t.has_minimum ? block.minima[i] : block.scales[2 * i + 1];
      }
    }
  return true;
}

bool cb_block_pack(cb_block_type type, const uint8_t *rows, size_t count, size_t inputs, uint8_t *panel) {
  switch (type) {
#define CB_CASE(type) \
  case type: return pack_as(type, rows, count, inputs, panel);
    CB_CASE(CB_Q4_0) CB_CASE(CB_Q4_1) CB_CASE(CB_Q5_0) CB_CASE(CB_Q5_1)
    CB_CASE(CB_Q8_0) CB_CASE(CB_Q4_K) CB_CASE(CB_Q5_K) CB_CASE(CB_Q6_K)
#undef CB_CASE
  }
  return false;
}

void cb_block_row(cb_block_type type, const uint8_t *packed, size_t inputs, size_t output, float *out) {
  const cb_block_traits t = cb_traits(type);
  const size_t length = cb_block_length(type), blocks = inputs / length, o = output % CB_LANES;
  const size_t quants = CB_QUANT_BYTES(t.bits), scale_bytes = cb_scale_bytes(t);
  const uint8_t *panel = packed + output / CB_LANES * cb_block_panel_bytes(type, inputs);
  for (size_t b = 0; b < blocks; b++) {
    plain_block block;
    for (size_t i = 0; i < length; i += CB_STEP)
      get_quads(t.bits, panel + (b * length + i) / CB_STEP * quants, o, block.q + i);
    const uint8_t *scales = panel + inputs / CB_STEP * quants + b * scale_bytes;
    block.scale = half_at(scales + 2 * o);
    scales += 2 * CB_LANES;
    if (t.has_minimum) {
      block.minimum = half_at(scales + 2 * o);
      scales += 2 * CB_LANES;
    }
    for (size_t i = 0; t.is_long && i < 8; i++, scales += 2 * CB_LANES) {
      block.scales[t.has_minimum ? i : 2 * i] = scales[o];
      if (t.has_minimum)
        block.minima[i] = scales[CB_LANES + o];
      else
        block.scales[2 * i + 1] = scales[CB_LANES + o];
    }
    dequantize(type, &block, out + b * length);
  }
}
