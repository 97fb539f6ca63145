/// How a linear layer multiplies.
package enum Arithmetic: Sendable, Hashable {
  /// Quantized weights × int8 activations: the fast path, the same bits on every machine.
  case quantized
  /// Dense weights × f32 activations: the reference.
  case full
  /// Quantized weights as f32 × f32 activations: weight error without activation error.
  case dequantized
}
