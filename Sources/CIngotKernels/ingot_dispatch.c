// What this machine can run.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "ingot_common.h"

extern const ingot_kernels ingot_kernels_scalar;

#if defined(__x86_64__)
extern const ingot_kernels ingot_kernels_avx2;
extern const ingot_kernels ingot_kernels_avx512vnni;

static int32_t ingot_has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
         && __builtin_cpu_supports("f16c");
}

static int32_t ingot_has_avx512vnni(void) {
  return ingot_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
         && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
         && __builtin_cpu_supports("avx512vnni");
}

/// The VNNI table as this processor wants it; valid once `ingot_tables` has run.
static ingot_kernels ingot_kernels_vnni;

static void ingot_fill_vnni(void) {
  ingot_kernels_vnni = ingot_kernels_avx512vnni;
  // Numbers are widened on the ports that multiply them, so it pays sooner to do it once for all tokens.
  if (ingot_shares_ports) ingot_kernels_vnni.packed_tokens = 32;
}

/// Bytes of the first-level cache for data; 0 where the system does not say.
static int64_t ingot_cache_bytes(void) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  return sysconf(_SC_LEVEL1_DCACHE_SIZE);
#else
  return 0;
#endif
}
#endif

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>

int32_t ingot_amx_permitted(void);
int32_t ingot_activation_order_amx(int64_t tokens);
void ingot_multiply_tiled_amx(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch);
int64_t ingot_int8_dot_rate_amx(int64_t iterations);
void ingot_split_bf16_amx(
    const float *x, ingot_region region, int64_t tokens, int64_t columns, uint16_t *out);
void ingot_multiply_bf16_amx(
    const void *weights, int64_t rows, int64_t columns, int64_t first, int64_t end,
    const uint16_t *x, int64_t tokens, float *out, void *scratch);

/// The VNNI table with the products of more than a few tokens replaced; valid once `ingot_tables` has run.
static ingot_kernels ingot_kernels_amx;

/// Bit `bit` of what the processor says of itself in leaf 7, register EDX.
static int32_t ingot_has_feature(int bit) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> bit & 1);
}

/// Every processor with AMX has the two sets for permutations and bits of bytes as well.
static int32_t ingot_has_amx(void) {
  enum { TILE = 24, INT8 = 25 };
  return ingot_has_feature(TILE) && ingot_has_feature(INT8)
         && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("gfni")
         && ingot_amx_permitted();
}

static void ingot_fill_amx(void) {
  ingot_kernels_amx = ingot_kernels_vnni;
  ingot_kernels_amx.name = "amx";
  ingot_kernels_amx.activation_order = ingot_activation_order_amx;
  ingot_kernels_amx.multiply_tiled = ingot_multiply_tiled_amx;
  ingot_kernels_amx.int8_dot_rate = ingot_int8_dot_rate_amx;
  enum { BF16 = 22 };
  if (!ingot_has_feature(BF16)) return;
  ingot_kernels_amx.split_bf16 = ingot_split_bf16_amx;
  ingot_kernels_amx.multiply_bf16 = ingot_multiply_bf16_amx;
}
#endif

#if defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#else
#include <sys/sysctl.h>
#endif
extern const ingot_kernels ingot_kernels_neon;
void ingot_multiply_tiled_i8mm(
    const ingot_tiled *w, const ingot_activations *x, int64_t first, int64_t end, float *out,
    void *scratch);
int64_t ingot_int8_dot_rate_i8mm(int64_t iterations);

/// The NEON table with other products; valid once `ingot_tables` has run.
static ingot_kernels ingot_kernels_i8mm;

static int32_t ingot_has_dotprod(void) {
#if defined(__linux__)
  const unsigned long asimddp = 1ul << 20;  // HWCAP_ASIMDDP
  return (getauxval(AT_HWCAP) & asimddp) != 0;
#else
  return 1;  // Every Apple processor that runs macOS.
#endif
}

static int32_t ingot_has_i8mm(void) {
#if defined(__linux__)
  const unsigned long i8mm = 1ul << 13;  // HWCAP2_I8MM
  return (getauxval(AT_HWCAP2) & i8mm) != 0;
#else
  int32_t has = 0;
  size_t size = sizeof has;
  return sysctlbyname("hw.optional.arm.FEAT_I8MM", &has, &size, 0, 0) == 0 && has;
#endif
}

static void ingot_fill_i8mm(void) {
  ingot_kernels_i8mm = ingot_kernels_neon;
  ingot_kernels_i8mm.name = "i8mm";
  ingot_kernels_i8mm.multiply_tiled = ingot_multiply_tiled_i8mm;
  ingot_kernels_i8mm.int8_dot_rate = ingot_int8_dot_rate_i8mm;
}
#endif

int32_t ingot_fetches_pages, ingot_shares_ports, ingot_has_small_cache;

enum { INGOT_TABLES = 8 };
static const ingot_kernels *ingot_tables[INGOT_TABLES];

static void ingot_fill_tables(void) {
  int32_t count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  ingot_fetches_pages = ingot_shares_ports = __builtin_cpu_is("intel") != 0;
  ingot_has_small_cache = ingot_cache_bytes() < 48 << 10;
  if (ingot_has_avx512vnni()) {
    ingot_fill_vnni();
#if defined(__linux__)
    if (ingot_has_amx()) {
      ingot_fill_amx();
      ingot_tables[count++] = &ingot_kernels_amx;
    }
#endif
    ingot_tables[count++] = &ingot_kernels_vnni;
  }
  if (ingot_has_avx2()) ingot_tables[count++] = &ingot_kernels_avx2;
#endif
#if defined(__aarch64__)
  if (ingot_has_dotprod()) {
    if (ingot_has_i8mm()) {
      ingot_fill_i8mm();
      ingot_tables[count++] = &ingot_kernels_i8mm;
    }
    ingot_tables[count++] = &ingot_kernels_neon;
  }
#endif
  ingot_tables[count++] = &ingot_kernels_scalar;
}

const ingot_kernels *ingot_kernels_available(int32_t index) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, ingot_fill_tables);
  return index >= 0 && index < INGOT_TABLES ? ingot_tables[index] : 0;
}

int32_t ingot_available_cores(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return (int32_t)sysconf(_SC_NPROCESSORS_ONLN);
}
