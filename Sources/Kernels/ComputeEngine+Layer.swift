import CIngotKernels

// The steps of a decoder layer, each one job of the threads. What comes after a product is done by the
// thread that has just computed those rows, while they are in its cache, and what the next product
// wants its input turned into by the thread that computed that.

extension ComputeEngine {
  /// input = norm(x), prepared.
  ///
  /// - Parameters:
  ///   - x: [tokens × columns].
  ///   - weight: [columns].
  package func normalize(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float,
    into input: LinearInput
  ) {
    split(input.paddedTokens, unit: Self.inputTokens, cost: 8 * input.columns) { _, range in
      rmsNorm(
        x, weight: weight, epsilon: epsilon, tokens: range.clamped(to: 0..<input.tokens),
        width: input.columns, into: input.numbers)
      prepare(input, tokens: range)
    }
  }

  /// next = silu(gate(input)) · up(input), prepared.
  ///
  /// - Parameters:
  ///   - up: goes to memory of its own, [tokens × rows].
  package func multiplyGated(
    gate: WeightMatrix, up: LinearProduct, _ input: LinearInput, arithmetic: Arithmetic,
    into next: LinearInput
  ) {
    let rows = gate.rows
    precondition(up.matrix.rows == rows && next.columns == rows && next.tokens == input.tokens)
    let gate = product(gate, into: next.numbers, tokens: input.tokens, arithmetic: arithmetic)
    let (base, stride) = scratch(bytesPerThread: INGOT_MULTIPLY_SCRATCH)
    let unit = Self.inputBlock
    let cost = unit * (rowCost(gate, input) + rowCost(up, input) + 8 * input.tokens)
    split((rows + unit - 1) / unit, cost: cost) { worker, range in
      let part = range.lowerBound * unit..<min(range.upperBound * unit, rows)
      for product in [gate, up] {
        multiply(product, input, rows: part, scratch: base + worker * stride)
      }
      for token in 0..<input.tokens {
        let start = token * rows + part.lowerBound
        swiglu(gate: gate.output + start, up: up.output + start, count: part.count)
      }
      prepare(next, tokens: 0..<next.paddedTokens, columns: part)
    }
  }

  /// x = x + product (+ bias).
  ///
  /// - Parameters:
  ///   - product: its output has memory of its own, [tokens × rows].
  ///   - x: [tokens × rows].
  package func multiply(
    _ product: LinearProduct, _ input: LinearInput, bias: [Float]?,
    addingTo x: UnsafeMutablePointer<Float>
  ) {
    let width = product.matrix.rows
    multiply([product], input) { _, rows in
      addBias(bias, product.output, width: width, rows: rows, tokens: input.tokens)
      for token in 0..<input.tokens {
        let start = token * width + rows.lowerBound
        add(x + start, product.output + start, count: rows.count)
      }
    }
  }

  func addBias(
    _ bias: [Float]?, _ x: UnsafeMutablePointer<Float>, width: Int, rows: Range<Int>, tokens: Int
  ) {
    bias?.withUnsafeBufferPointer { bias in
      guard let bias = bias.baseAddress else { return }
      for token in 0..<tokens {
        add(x + token * width + rows.lowerBound, bias + rows.lowerBound, count: rows.count)
      }
    }
  }
}
