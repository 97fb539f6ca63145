// The Quantization module.
