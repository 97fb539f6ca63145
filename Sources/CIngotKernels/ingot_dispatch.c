// What this machine can run.
#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>

#include "ingot_common.h"

extern const ingot_kernels ingot_kernels_scalar;
extern const ingot_kernels ingot_kernels_avx512vnni;

static int32_t ingot_tables(const ingot_kernels **tables) {
  int32_t count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
      && __builtin_cpu_supports("avx512vnni"))
    tables[count++] = &ingot_kernels_avx512vnni;
#endif
  tables[count++] = &ingot_kernels_scalar;
  return count;
}

const ingot_kernels *ingot_kernels_available(int32_t index) {
  const ingot_kernels *tables[8];
  const int32_t count = ingot_tables(tables);
  return index >= 0 && index < count ? tables[index] : 0;
}

int32_t ingot_available_cores(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
}
