import CIngotKernels

extension ComputeEngine {
  /// out = weight · x / √(mean(x²) + ε) for each token (Zhang & Sennrich 2019), on this thread.
  ///
  /// - Parameters:
  ///   - x: [tokens × width].
  ///   - weight: [width].
  ///   - output: [tokens × width]; may be `x`.
  package func rmsNorm(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, tokens: Range<Int>,
    width: Int, into output: UnsafeMutablePointer<Float>
  ) {
    for token in tokens {
      functions.rms_norm(x + token * width, weight, epsilon, Int64(width), output + token * width)
    }
  }

  /// gate = silu(gate) · up, with silu(x) = x / (1 + e⁻ˣ), on this thread.
  package func swiglu(
    gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int
  ) {
    functions.swiglu(gate, up, Int64(count))
  }

  /// x = x + y, on this thread.
  package func add(_ x: UnsafeMutablePointer<Float>, _ y: UnsafePointer<Float>, count: Int) {
    functions.add(x, y, Int64(count))
  }

  /// The largest logit (the first one among equals) and log Σ eˣ.
  package func softmaxSummary(
    _ logits: UnsafePointer<Float>, count: Int
  ) -> (argmax: Int, maximum: Float, logSumExp: Float) {
    var summary = ingot_summary()
    functions.softmax_summary(logits, Int64(count), &summary)
    return (Int(summary.argmax), summary.maximum, summary.log_sum_exp)
  }

  /// A summary for each of `tokens` rows of `count` logits.
  package func softmaxSummaries(
    _ logits: UnsafePointer<Float>, tokens: Int, count: Int
  ) -> [(argmax: Int, maximum: Float, logSumExp: Float)] {
    typealias Summary = (argmax: Int, maximum: Float, logSumExp: Float)
    return [Summary](unsafeUninitializedCapacity: tokens) { buffer, initialized in
      // Safe: every thread writes its own tokens.
      nonisolated(unsafe) let results = buffer
      split(tokens, cost: count * 4) { _, range in
        for token in range {
          results.initializeElement(
            at: token, to: softmaxSummary(logits + token * count, count: count))
        }
      }
      initialized = tokens
    }
  }
}
