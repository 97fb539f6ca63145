// What the quantizers of all instruction sets share: the scales they try and the sums they report.
#ifndef INGOT_QUANTIZE_COMMON_H
#define INGOT_QUANTIZE_COMMON_H

#include <stdint.h>
#include <string.h>

#include "include/ingot_quantize.h"

#pragma clang fp contract(off)

#define INGOT_QUANTIZE_INLINE static inline __attribute__((always_inline, unused))

enum { INGOT_QUANTIZE_LANES = 16, INGOT_QUANTIZE_CHUNK = 128, INGOT_QUANTIZE_TARGETS = 32 };

/// Kinds of scheme, as `ingot_quantize_task.kind` numbers them.
enum {
  QUANTIZE_INT8 = 1,
  QUANTIZE_INT4 = 2,
  QUANTIZE_INT4Z = 3,
  QUANTIZE_CB4 = 4,
  QUANTIZE_INT6 = 5
};

/// Element types, as `ingot_quantize_task.element` numbers them.
enum { ELEMENT_F32 = 1, ELEMENT_F16 = 2, ELEMENT_BF16 = 3 };

/// A group whose largest weight is below this is stored as zeros: its scale would vanish anyway,
/// and the reciprocals of smaller numbers overflow.
#define INGOT_QUANTIZE_TINY 0x1p-100f

/// Largest S1E2M5 magnitude code.
enum { INGOT_QUANTIZE_TOP_CODE = 127 };

/// Adding and subtracting this rounds |x| < 2^22 to the nearest integer, ties to even.
#define INGOT_QUANTIZE_ROUNDER 12582912.0f
#define INGOT_QUANTIZE_ROUNDER_BITS 0x4B400000

/// Smallest and largest code of a kind, before any zero point.
INGOT_QUANTIZE_INLINE float ingot_quantize_low(int32_t kind) {
  switch (kind) {
    case QUANTIZE_INT8: return -127;
    case QUANTIZE_INT6: return -32;
    case QUANTIZE_INT4Z: return 0;
    default: return -8;
  }
}
INGOT_QUANTIZE_INLINE float ingot_quantize_high(int32_t kind) {
  switch (kind) {
    case QUANTIZE_INT8: return 127;
    case QUANTIZE_INT6: return 31;
    case QUANTIZE_INT4Z: return 15;
    default: return 7;
  }
}

/// What is added to a code before it is stored.
INGOT_QUANTIZE_INLINE int32_t ingot_quantize_offset(int32_t kind) {
  return kind == QUANTIZE_INT4 ? 8 : kind == QUANTIZE_INT6 ? 32 : 0;
}

/// The code of a group's largest weight without search; for int4z, of its range. The codes −8 and
/// −32 have no positive counterparts.
INGOT_QUANTIZE_INLINE float ingot_quantize_reach(int32_t kind) {
  switch (kind) {
    case QUANTIZE_INT4: return -8;
    case QUANTIZE_INT6: return -32;
    case QUANTIZE_INT4Z: return 15;
    default: return 127;
  }
}

/// Bytes of the codes of `columns` columns of a tile.
INGOT_QUANTIZE_INLINE int64_t ingot_quantize_code_bytes(int32_t kind, int64_t columns) {
  return columns * (kind == QUANTIZE_INT8 ? 16 : kind == QUANTIZE_INT6 ? 12 : 8);
}

/// The scales to try for every group, as the code that its largest weight would get.
typedef struct ingot_quantize_targets {
  int32_t count;
  float value[INGOT_QUANTIZE_TARGETS];
} ingot_quantize_targets;

INGOT_QUANTIZE_INLINE void ingot_quantize_spread(
    ingot_quantize_targets *targets, float low, float high, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    float fraction = (float)i / (float)(count - 1);
    targets->value[targets->count++] = low + (high - low) * fraction;
  }
}

/// The ranges in which the best scales of Gaussian and of trained weights were found, both ways
/// round where codes reach further on one side. Twice as many targets lower the error of the 4-bit
/// schemes by less than two parts in a thousand.
INGOT_QUANTIZE_INLINE ingot_quantize_targets ingot_quantize_make_targets(
    const ingot_quantize_task *task) {
  ingot_quantize_targets targets = {0};
  int is_long = task->group >= 128;
  switch (task->kind) {
    case QUANTIZE_INT8: ingot_quantize_spread(&targets, 123, 127.45f, 9); break;
    case QUANTIZE_INT6:
      ingot_quantize_spread(&targets, -30, -33, 7);
      targets.value[targets.count++] = 31.5f;
      break;
    case QUANTIZE_INT4:
      ingot_quantize_spread(&targets, -6.6f, is_long ? -10.2f : -9.2f, 7);
      ingot_quantize_spread(&targets, 6.4f, is_long ? 9.4f : 8.4f, 5);
      break;
    case QUANTIZE_INT4Z:
      // Of the range from smallest to largest, for each of three zero points.
      ingot_quantize_spread(&targets, 13.5f, is_long ? 18.5f : 17, 6);
      break;
    case QUANTIZE_CB4:
      if (task->group <= 32) {
        ingot_quantize_spread(&targets, 94, 142, 6);
        ingot_quantize_spread(&targets, -94, -134, 5);
      } else {
        ingot_quantize_spread(&targets, 112, 154, 6);
        ingot_quantize_spread(&targets, -112, -142, 5);
      }
      break;
  }
  return targets;
}

/// The value of an S1E2M5 magnitude code; see `HalfPrecision` in the Tensors module.
INGOT_QUANTIZE_INLINE float ingot_quantize_code_value(int32_t code) {
  if (code < 32) return (float)code * 0x1p-19f;
  uint32_t bits = (uint32_t)(code + 3584) << 18;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

/// Sums over a tile, one per row.
typedef struct ingot_quantize_sums {
  double error[INGOT_QUANTIZE_LANES];
  double source[INGOT_QUANTIZE_LANES];
  double dequantized[INGOT_QUANTIZE_LANES];
  double product[INGOT_QUANTIZE_LANES];
  float max_error[INGOT_QUANTIZE_LANES];
  /// The first weight, and whether another one differs from it.
  float first[INGOT_QUANTIZE_LANES];
  int32_t varies[INGOT_QUANTIZE_LANES];
  int32_t vanished[INGOT_QUANTIZE_LANES];
} ingot_quantize_sums;

/// Groups between two whose phases are timed: reading the clock must cost nothing that shows.
enum { INGOT_QUANTIZE_TIMED = 16 };

/// A clock that takes a few nanoseconds to read; zero where there is none.
INGOT_QUANTIZE_INLINE int64_t ingot_quantize_clock(void) {
#if defined(__x86_64__)
  return (int64_t)__builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  int64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return 0;
#endif
}

/// Adds the rows up, always in the same order; `maxima` holds each group's largest magnitude,
/// `[group][16]`.
INGOT_QUANTIZE_INLINE void ingot_quantize_finish(
    const ingot_quantize_task *task, const ingot_quantize_sums *sums, const float *maxima,
    int32_t rows, ingot_quantize_result *result) {
  double unit = task->tensor_scale;
  float largest = 0;
  for (int32_t row = 0; row < rows; row++) {
    result->error += sums->error[row] * (unit * unit);
    result->source += sums->source[row] * (unit * unit);
    result->dequantized += sums->dequantized[row] * (unit * unit);
    result->product += sums->product[row] * (unit * unit);
    if (sums->max_error[row] > largest) largest = sums->max_error[row];
    if (!sums->varies[row]) {
      if (sums->first[row] == 0) result->dead_rows++;
      else result->constant_rows++;
    }
    result->vanished_groups += sums->vanished[row];
  }
  result->max_error = (float)(largest * unit);
  int64_t groups = task->columns / task->group;
  float limits[INGOT_QUANTIZE_LANES];
  int32_t outliers[INGOT_QUANTIZE_LANES] = {0};
  for (int32_t row = 0; row < INGOT_QUANTIZE_LANES; row++) {
    limits[row] = (float)(36 * sums->source[row] / (double)task->columns);
  }
  for (int64_t g = 0; g < groups; g++) {
    for (int32_t row = 0; row < INGOT_QUANTIZE_LANES; row++) {
      float maximum = maxima[g * INGOT_QUANTIZE_LANES + row];
      outliers[row] += maximum * maximum > limits[row];
    }
  }
  for (int32_t row = 0; row < rows; row++) result->outlier_groups += outliers[row];
}

#endif
