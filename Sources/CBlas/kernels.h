// One table of kernels for each instruction set; dispatch.c picks.

#ifndef CBLAS_KERNELS_H
#define CBLAS_KERNELS_H

#include "include/CBlas.h"

typedef struct {
  const char *name;
  void (*linear)(const float *, size_t, size_t, size_t, const float *, size_t, const float *, cb_epilogue, float *,
                 size_t);
  void (*attention)(const float *, cb_attention_part, float, const cb_distance_bias *, float *, float *);
  void (*layernorm)(float *, size_t, size_t, const float *, const float *, float);
  void (*gelu)(float *, size_t);
  void (*embed)(const float *, const float *, const float *, size_t, float *);
  void (*mean)(const float *, size_t, size_t, float *);
  void (*l2_normalize)(float *, size_t);
  void (*quantize)(const float *, size_t, size_t, const float *, uint8_t *, cb_row *);
  void (*quantize_half)(const uint16_t *, size_t, size_t, const float *, uint8_t *, cb_row *);
  void (*linear8)(const uint8_t *, const cb_row *, size_t, const cb_int8_weight *, const float *, cb_epilogue, void *,
                  size_t);
  void (*round_half)(const float *, size_t, uint16_t *);
  void (*linear_half)(const uint16_t *, size_t, size_t, const uint32_t *, size_t, const float *, cb_epilogue, void *,
                      size_t);
  void (*attention_half)(const uint16_t *, cb_attention_part, float, const cb_distance_bias *, float *, uint16_t *);
  void (*attention8)(const uint16_t *, cb_attention_part, float, const cb_distance_bias *, float *, uint16_t *);
  void (*layernorm_half)(float *, size_t, size_t, const cb_norm *, uint16_t *);
  void (*layernorm8)(float *, size_t, size_t, const cb_norm *, const float *, uint8_t *, cb_row *);
  void (*activate)(cb_activation, float *, size_t);
  void (*softmax)(float *, size_t);
  void (*greatest)(const float *, size_t, size_t, float *);
  void (*rmsnorm)(const float *, size_t, size_t, const float *, float, float *);
  void (*rotate)(float *, size_t, size_t, size_t, size_t, const float *, const float *, bool);
  void (*silu_multiply)(const float *, const float *, size_t, size_t, size_t, float *, size_t);
  void (*cache_attention)(const float *, size_t, size_t, size_t, size_t, const cb_cache *, float *, float *, size_t);
  void (*cache_attention_half)(const float *, size_t, size_t, size_t, size_t, const cb_cache *, float *, float *, size_t);
  void (*quantize_blocks)(const float *, size_t, size_t, size_t, int8_t *, size_t, cb_block_step *);
  void (*linear_blocks)(const int8_t *, const cb_block_step *, size_t, const cb_block_weight *, size_t, size_t,
                        const float *, cb_epilogue, void *, size_t);
  size_t (*first_greatest)(const float *, size_t);
  void (*exponentials)(const float *, size_t, double, double, double *);
  double (*total)(const double *, size_t);
  size_t (*draw)(const double *, size_t, double);
} cb_kernels;

#if defined(__x86_64__)
extern const cb_kernels cb_kernels_avx512bf16;
extern const cb_kernels cb_kernels_avx512;
extern const cb_kernels cb_kernels_avxvnni;
extern const cb_kernels cb_kernels_avx2;
#endif
extern const cb_kernels cb_kernels_portable;

#endif
