// Statistics over the columns of a matrix, for the calibration of int8. Not fast, and not on a job's path.

#include <math.h>

#include "CBlas.h"

void cb_channel_statistics(const float *x, size_t rows, size_t width, float *greatest, double *squares) {
  for (size_t r = 0; r < rows; r++)
    for (size_t k = 0; k < width; k++) {
      const float value = x[r * width + k];
      if (fabsf(value) > greatest[k]) greatest[k] = fabsf(value);
      // Exact in a double, so that a fused multiply-add changes nothing.
      squares[k] += (double)value * value;
    }
}
