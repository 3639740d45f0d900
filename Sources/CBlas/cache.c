// Pages of keys and values (CBlas.h), and what of a decoder's arithmetic needs no instruction set.

#include <string.h>

#include "include/CBlas.h"

size_t cb_cache_scratch(size_t tokens, size_t head_width) {
  // As many queries at a time as kernels take rows: they, their results, their scores, and the scores as halves.
  const size_t rows = 12, span = (tokens + CB_PAGE - 1) / CB_PAGE * CB_PAGE + CB_PAGE;
  return rows * (2 * head_width + span + span / 2);
}

void cb_cache_store(const float *k, const float *v, size_t ld, size_t rows, size_t heads, const cb_cache *cache) {
  const size_t d = cache->head_width, area = CB_PAGE * d;
  for (size_t r = 0; r < rows; r++, k += ld, v += ld) {
    const size_t position = cache->position + r, place = position % CB_PAGE;
    float *page = (float *)cache->pages[position / CB_PAGE] + cache->offset;
    for (size_t h = 0; h < heads; h++, page += 2 * area) {
      float *keys = page + place / CB_LANES * CB_LANES * d + place % CB_LANES;
      float *values = page + area + place * CB_LANES;
      for (size_t i = 0; i < d; i++) {
        keys[i * CB_LANES] = k[h * d + i];
        values[i / CB_LANES * CB_LANES * CB_PAGE + i % CB_LANES] = v[h * d + i];
      }
    }
  }
}

void cb_cache_store_bf16(const float *k, const float *v, size_t ld, size_t rows, size_t heads, const cb_cache *cache) {
  const size_t d = cache->head_width, area = CB_PAGE * d;
  for (size_t r = 0; r < rows; r++, k += ld, v += ld) {
    const size_t position = cache->position + r, place = position % CB_PAGE;
    uint16_t *page = (uint16_t *)cache->pages[position / CB_PAGE] + cache->offset;
    for (size_t h = 0; h < heads; h++, page += 2 * area) {
      // Words of two: of a key's neighbouring numbers, and of the values of two neighbouring tokens.
      uint16_t *keys = page + place / CB_LANES * CB_LANES * d + place % CB_LANES * 2;
      uint16_t *values = page + area + place / 2 * 2 * CB_LANES + place % 2;
      for (size_t i = 0; i < d; i += CB_LANES) {
        uint16_t key[CB_LANES], value[CB_LANES];
        cb_bf16_round(k + h * d + i, CB_LANES, key);
        cb_bf16_round(v + h * d + i, CB_LANES, value);
        for (size_t j = 0; j < CB_LANES; j++) {
          keys[(i + j) / 2 * 2 * CB_LANES + j % 2] = key[j];
          values[i * CB_PAGE + 2 * j] = value[j];
        }
      }
    }
  }
}
