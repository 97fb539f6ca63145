import CIngotKernels

extension ComputeEngine {
  /// out = weight · x / √(mean(x²) + ε) for each token (Zhang & Sennrich 2019).
  ///
  /// - Parameters:
  ///   - x: [tokens × width].
  ///   - weight: [width].
  ///   - output: [tokens × width]; may be `x`.
  package func rmsNorm(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, tokens: Int,
    width: Int, into output: UnsafeMutablePointer<Float>
  ) {
    let norm = functions.rms_norm!
    split(tokens, cost: width) { _, range in
      for token in range {
        norm(x + token * width, weight, epsilon, Int64(width), output + token * width)
      }
    }
  }

  /// RMSNorm of each head, then rotary embedding at the tokens' positions, in place.
  ///
  /// Hugging Face's convention: element i of the first half turns with element i of the second.
  ///
  /// - Parameters:
  ///   - x: [tokens × heads × headDimension].
  ///   - weight: [headDimension].
  ///   - positions: one per token.
  package func headNormAndRope(
    _ x: UnsafeMutablePointer<Float>, heads: Int, headDimension: Int,
    weight: UnsafePointer<Float>, epsilon: Float, positions: [Int32], rope: RopeTable,
    tokens: Int
  ) {
    precondition(positions.count == tokens && rope.headDimension == headDimension)
    guard tokens > 0 else { return }
    let operation = functions.head_norm_rope!
    let half = headDimension / 2
    rope.withRows(covering: positions) { rows in
      split(tokens, cost: heads * headDimension * 2) { _, range in
        for token in range {
          let cosines = rows + Int(positions[token]) * headDimension
          for head in 0..<heads {
            operation(
              x + (token * heads + head) * headDimension, weight, epsilon, Int64(headDimension),
              cosines, cosines + half)
          }
        }
      }
    }
  }

  /// gate = silu(gate) · up, with silu(x) = x / (1 + e⁻ˣ).
  package func swiglu(
    gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int
  ) {
    let operation = functions.swiglu!
    split(count, unit: 16, cost: 4) { _, range in
      operation(gate + range.lowerBound, up + range.lowerBound, Int64(range.count))
    }
  }

  /// x = x + y.
  package func add(_ x: UnsafeMutablePointer<Float>, _ y: UnsafePointer<Float>, count: Int) {
    let operation = functions.add!
    split(count, unit: 16, cost: 1) { _, range in
      operation(x + range.lowerBound, y + range.lowerBound, Int64(range.count))
    }
  }

  /// x[t] = x[t] + bias for each token.
  package func addBias(
    _ x: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>, tokens: Int, width: Int
  ) {
    let operation = functions.add!
    split(tokens, cost: width) { _, range in
      for token in range { operation(x + token * width, bias, Int64(width)) }
    }
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
