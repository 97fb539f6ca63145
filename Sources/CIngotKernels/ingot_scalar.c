#include "ingot_kernels.h"
