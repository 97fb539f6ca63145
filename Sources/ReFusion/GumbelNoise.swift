internal import Foundation
internal import Kernels

/// Seeded noise for sampling drafts with the Gumbel-max trick in float64, as the official code does.
package struct GumbelNoise: Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// SplitMix64 (Steele, Lea, Flood 2014), the top 53 bits as a number in 0 ..< 1.
  mutating func uniform() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    bits ^= bits >> 31
    return Double(bits >> 11) * 0x1p-53
  }

  /// argmax of exp(logit) / (−log u)^T, taken in logarithms: logit − T·log(−log u).
  mutating func argmax(
    _ logits: UnsafePointer<Float>, count: Int, temperature: Double
  ) -> Int32 {
    var best = 0
    var highest = -Double.infinity
    for index in 0..<count {
      let value = Double(logits[index]) - temperature * log(-log(uniform()))
      if value > highest {
        highest = value
        best = index
      }
    }
    return Int32(best)
  }
}

extension InferenceSession {
  /// Samples a token at some inputs of the last forward.
  func sample(at indices: [Int], temperature: Double, noise: inout GumbelNoise) -> [Int32] {
    let vocabulary = model.configuration.vocabularySize
    var tokens: [Int32] = []
    withLogits(at: indices) { _, rows, count in
      for row in 0..<count {
        tokens.append(
          noise.argmax(rows + row * vocabulary, count: vocabulary, temperature: temperature))
      }
    }
    return tokens
  }
}
