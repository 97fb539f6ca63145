// Which quantizers this machine can run.

#include "include/ingot_quantize.h"

extern const ingot_quantizer ingot_quantizer_scalar;
#if defined(__x86_64__)
extern const ingot_quantizer ingot_quantizer_avx2, ingot_quantizer_avx512;
#elif defined(__aarch64__)
extern const ingot_quantizer ingot_quantizer_neon;
#endif

const ingot_quantizer *ingot_quantizer_available(int32_t index) {
  const ingot_quantizer *tables[3];
  int32_t count = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    tables[count++] = &ingot_quantizer_avx512;
  }
  if (__builtin_cpu_supports("avx2")) tables[count++] = &ingot_quantizer_avx2;
#elif defined(__aarch64__)
  tables[count++] = &ingot_quantizer_neon;
#endif
  tables[count++] = &ingot_quantizer_scalar;
  return index >= 0 && index < count ? tables[index] : 0;
}
