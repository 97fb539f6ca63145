/// The sizes that elementwise operations and attention of a model are checked at.
package struct OperationSizes: Sendable, Hashable {
  package var width: Int
  package var queryHeads: Int
  package var keyValueHeads: Int
  package var headDimension: Int
  package var vocabulary: Int
  package var cacheFormat: KeyValueCache.Format

  package init(
    width: Int, queryHeads: Int, keyValueHeads: Int, headDimension: Int, vocabulary: Int,
    cacheFormat: KeyValueCache.Format
  ) {
    self.width = width
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.vocabulary = vocabulary
    self.cacheFormat = cacheFormat
  }
}

extension KernelCheck {
  /// The first of the operations between the products that gives other bits than the scalar
  /// definition, or nil when all agree.
  package static func failingOperation(
    _ sizes: OperationSizes, tokens: Int, kernels: KernelTable = .selected, pool: ThreadPool
  ) -> String? {
    let mine = OperationRun(sizes, tokens, ComputeEngine(pool: pool, kernels: kernels))
    let expected = OperationRun(sizes, tokens, ComputeEngine(pool: pool, kernels: .scalar))
    let operations: [(String, (OperationRun) -> [Float])] = [
      ("rms_norm", { $0.norm() }), ("head_norm_rope", { $0.rotated() }),
      ("swiglu", { $0.swiglu() }), ("add", { $0.sum() }),
      ("softmax_summary", { $0.summary() }), ("attend", { $0.attended() }),
    ]
    return operations.first { operation in
      operation.1(mine).map(\.bitPattern) != operation.1(expected).map(\.bitPattern)
    }?.0
  }
}

/// One table's results on fixed inputs.
private struct OperationRun {
  let sizes: OperationSizes
  let tokens: Int
  let engine: ComputeEngine
  let input: [Float]

  init(_ sizes: OperationSizes, _ tokens: Int, _ engine: ComputeEngine) {
    self.sizes = sizes
    self.tokens = tokens
    self.engine = engine
    let rows = max(sizes.width, sizes.queryHeads * sizes.headDimension)
    input = KernelCheck.activations(max(tokens * rows, sizes.vocabulary))
  }

  private static let epsilon: Float = 1e-6
  private var positions: [Int32] { (0..<tokens).map { Int32(3 * $0) } }

  func norm() -> [Float] {
    var output = [Float](repeating: 0, count: tokens * sizes.width)
    engine.rmsNorm(
      input, weight: input, epsilon: Self.epsilon, tokens: 0..<tokens, width: sizes.width,
      into: &output)
    return output
  }

  func rotated() -> [Float] {
    var queries = Array(input.prefix(tokens * sizes.queryHeads * sizes.headDimension))
    let rope = RopeTable(theta: 1_000_000, headDimension: sizes.headDimension)
    let width = sizes.queryHeads * sizes.headDimension
    rope.withRows(covering: positions) { rows in
      for token in 0..<tokens {
        for head in 0..<sizes.queryHeads {
          engine.normAndRotate(
            &queries[token * width + head * sizes.headDimension], weight: input,
            epsilon: Self.epsilon, rope: rows + Int(positions[token]) * sizes.headDimension,
            headDimension: sizes.headDimension)
        }
      }
    }
    return queries
  }

  func swiglu() -> [Float] {
    var gate = input
    engine.swiglu(gate: &gate, up: input, count: input.count)
    return gate
  }

  func sum() -> [Float] {
    var sum = input
    engine.add(&sum, input, count: input.count)
    return sum
  }

  func summary() -> [Float] {
    let summary = engine.softmaxSummary(input, count: sizes.vocabulary)
    return [Float(summary.argmax), summary.maximum, summary.logSumExp]
  }

  /// Causal attention of the tokens over themselves and some entries before them, each stored by
  /// the same table.
  func attended() -> [Float] {
    let before = 21
    let cache = KeyValueCache(
      layers: 1, keyValueHeads: sizes.keyValueHeads, headDimension: sizes.headDimension,
      format: sizes.cacheFormat, capacity: before + tokens)
    let width = sizes.keyValueHeads * sizes.headDimension
    let entries = KernelCheck.activations((before + tokens + 1) * width)
    entries.withUnsafeBufferPointer { entries in
      guard let base = entries.baseAddress else { return }
      for index in 0..<before + tokens {
        cache.store(
          layer: 0, index: index, key: base + index * width, value: base + (index + 1) * width,
          kernels: engine.kernels)
      }
    }
    var output = [Float](repeating: 0, count: tokens * sizes.queryHeads * sizes.headDimension)
    engine.attend(
      queries: input, tokens: tokens, queryHeads: sizes.queryHeads, layer: 0, cache: cache,
      spans: (0..<tokens).map {
        AttentionSpan(prefixEnd: Int32(before), start: Int32(before), end: Int32(before + $0 + 1))
      }, into: &output)
    return output
  }
}
