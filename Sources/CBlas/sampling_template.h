// Choosing among a vocabulary's logits, included by kernels_template.h for each instruction set. Sums are of sixteen
// interleaved numbers, joined in one fixed tree, so the choice is the same on all of them.

typedef double v16d __attribute__((ext_vector_type(CB_LANES)));
typedef double v8d __attribute__((ext_vector_type(CB_LANES / 2)));
typedef double v4d __attribute__((ext_vector_type(CB_LANES / 4)));
typedef int64_t v16l __attribute__((ext_vector_type(CB_LANES)));
typedef double v16du __attribute__((ext_vector_type(CB_LANES), aligned(8)));

// Where the greatest of finite numbers stands; of equal ones the first.
static size_t first_greatest(const float *x, size_t count) {
  float top = -INFINITY;
  size_t i = 0;
  v16 highest = -INFINITY;
  for (; i + CB_LANES <= count; i += CB_LANES) highest = load(x + i) > highest ? load(x + i) : highest;
  top = max16(highest);
  for (; i < count; i++) top = x[i] > top ? x[i] : top;
  for (i = 0; i + CB_LANES <= count && !__builtin_reduce_or(load(x + i) == (v16)top); i += CB_LANES) {}
  while (i < count && x[i] != top) i++;
  return i;
}

// eˣ for −700 ≤ x ≤ 0, and 0 below, by the operations of ExactMath.exp.
INLINE v16d exact_exp16(v16d x) {
  const v16d magic = 0x1.8p52;
  const v16d n = (x * 0x1.71547652b82fep0 + magic) - magic;
  const v16d r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
  v16d sum = 0x1.6124613a86d09p-33;
  sum = sum * r + 0x1.1eed8eff8d898p-29;
  sum = sum * r + 0x1.ae64567f544e4p-26;
  sum = sum * r + 0x1.27e4fb7789f5cp-22;
  sum = sum * r + 0x1.71de3a556c734p-19;
  sum = sum * r + 0x1.a01a01a01a01ap-16;
  sum = sum * r + 0x1.a01a01a01a01ap-13;
  sum = sum * r + 0x1.6c16c16c16c17p-10;
  sum = sum * r + 0x1.1111111111111p-7;
  sum = sum * r + 0x1.5555555555555p-5;
  sum = sum * r + 0x1.5555555555555p-3;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  v16l exponent;
  const v16d shifted = n + magic;  // the last bits of it are n
  memcpy(&exponent, &shifted, sizeof exponent);
  exponent = (exponent + 1023) << 52;
  v16d power;
  memcpy(&power, &exponent, sizeof power);
  return x >= -700.0 ? sum * power : (v16d)0.0;
}

INLINE double sum16d(v16d v) {
  v8d e = v.lo + v.hi;
  v4d q = e.lo + e.hi;
  return (q.x + q.z) + (q.y + q.w);
}

static void exponentials(const float *x, size_t count, double top, double scale, double *out) {
  for (size_t i = 0; i < count; i += CB_LANES) {
    const size_t some = count - i < CB_LANES ? count - i : CB_LANES;
    float part[CB_LANES] = {0};
    memcpy(part, x + i, some * sizeof *x);
    const v16d e = exact_exp16((__builtin_convertvector(load(part), v16d) - top) * scale);
    double weights[CB_LANES];
    memcpy(weights, &e, sizeof weights);
    memcpy(out + i, weights, some * sizeof *out);
  }
}

INLINE v16d doubles_at(const double *x, size_t count, size_t i) {
  if (i + CB_LANES <= count) return *(const v16du *)(x + i);
  v16d v = 0.0;
  memcpy(&v, x + i, (count - i) * sizeof *x);
  return v;
}

static double total(const double *x, size_t count) {
  v16d sum = 0.0;
  for (size_t i = 0; i < count; i += CB_LANES) sum += doubles_at(x, count, i);
  return sum16d(sum);
}

// Sixteen at a time, until what is left to go is among them. Where rounding leads beyond the end, the last one above zero.
static size_t draw(const double *weights, size_t count, double left) {
  for (size_t i = 0; i < count; i += CB_LANES) {
    const double some = sum16d(doubles_at(weights, count, i));
    const size_t end = count - i < CB_LANES ? count : i + CB_LANES;
    for (size_t j = i; j < end && left < some; j++) {
      left -= weights[j];
      if (left < 0.0) return j;
    }
    left = left < some ? 0.0 : left - some;
  }
  while (count > 0 && weights[count - 1] <= 0.0) count--;
  return count - 1;
}
