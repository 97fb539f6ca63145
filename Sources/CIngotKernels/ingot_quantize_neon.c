// Quantization with NEON: sixteen virtual lanes in four registers, all of it compiler's vectors.

#if defined(__aarch64__)

#define QUANTIZE_NAME "neon"
#define QUANTIZE_SYMBOL ingot_quantizer_neon
#include "ingot_quantize_vector.h"

#endif
