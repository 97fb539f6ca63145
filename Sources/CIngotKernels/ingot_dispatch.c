// What this machine can run.
#define _GNU_SOURCE
#include <sched.h>
#include <unistd.h>

#include "ingot_common.h"

extern const ingot_kernels ingot_kernels_scalar;

const ingot_kernels *ingot_kernels_available(int32_t index) {
  const ingot_kernels *tables[8];
  int32_t count = 0;
  tables[count++] = &ingot_kernels_scalar;
  return index < count ? tables[index] : 0;
}

int32_t ingot_available_cores(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
}
