import CIngotKernels

/// A projection of the input to heads, and what becomes of them.
package struct HeadProjection {
  let product: LinearProduct
  /// [heads × headDimension]
  let bias: [Float]?
  /// Weights of each head's RMSNorm, [headDimension]; nil for values, which are neither normed nor
  /// rotated.
  let norm: [Float]?

  package init(_ product: LinearProduct, bias: [Float]?, norm: [Float]? = nil) {
    self.product = product
    self.bias = bias
    self.norm = norm
  }
}

/// One layer's attention: tokens, what they see, and where their keys and values go.
package struct LayerAttention {
  package let query: HeadProjection
  package let key: HeadProjection
  package let value: HeadProjection
  package let epsilon: Float
  package let rope: RopeTable
  package let tokens: AttentionTokens
  package let layer: Int
  package let cache: KeyValueCache

  package init(
    query: HeadProjection, key: HeadProjection, value: HeadProjection, epsilon: Float,
    rope: RopeTable, tokens: AttentionTokens, layer: Int, cache: KeyValueCache
  ) {
    self.query = query
    self.key = key
    self.value = value
    self.epsilon = epsilon
    self.rope = rope
    self.tokens = tokens
    self.layer = layer
    self.cache = cache
  }

  var headDimension: Int { cache.headDimension }
  var queryHeads: Int { query.product.matrix.rows / headDimension }
  /// Query heads that read the same keys and values.
  var group: Int { queryHeads / cache.keyValueHeads }
}

/// Tokens by what attention wants to know of them.
package struct AttentionTokens {
  package let positions: [Int32]
  /// Cache entries that their keys and values are written to.
  package let destinations: [Int32]
  package let spans: [AttentionSpan]
  package var count: Int { spans.count }

  package init(positions: [Int32], destinations: [Int32], spans: [AttentionSpan]) {
    precondition(positions.count == spans.count && destinations.count == spans.count)
    self.positions = positions
    self.destinations = destinations
    self.spans = spans
  }
}

extension ComputeEngine {
  /// next = attention over the cache of queries, keys and values made of `input`, prepared.
  ///
  /// Keys and values are stored, then queries meet all that their spans name.
  package func attend(
    _ attention: LayerAttention, _ input: LinearInput, into next: LinearInput
  ) {
    let (tokens, cache) = (attention.tokens, attention.cache)
    precondition(tokens.count == input.tokens && tokens.count == next.tokens)
    precondition(attention.rope.headDimension == attention.headDimension)
    precondition(attention.queryHeads % cache.keyValueHeads == 0)
    precondition(tokens.destinations.allSatisfy { (0..<cache.capacity).contains(Int($0)) })
    guard tokens.count > 0 else { return }
    attention.rope.withRows(covering: tokens.positions) { rope in
      withAttention(
        queries: attention.query.product.output, queryHeads: attention.queryHeads,
        layer: attention.layer, cache: cache, spans: tokens.spans, into: next.numbers
      ) { task in
        let step = HeadStep(
          attention: attention, rope: rope, task: task, work: AttentionWork(tokens.spans, cache))
        if staysOnThread(attention) {
          attendByHead(step, input, into: next)
        } else {
          projectHeads(step, input)
          attend(
            task, step.work, queryHeads: attention.queryHeads, tokens: tokens.count, cache)
          prepare(next)
        }
      }
    }
  }
}

/// What finishing heads takes.
private struct HeadStep {
  let attention: LayerAttention
  let rope: UnsafePointer<Float>
  let task: UnsafePointer<ingot_attention>
  let work: AttentionWork

  /// Calls `body` for queries, keys and values, with how many of their heads belong to one key/value
  /// head.
  func forEachProjection(_ body: (HeadRole, HeadProjection, _ heads: Int) -> Void) {
    body(.query, attention.query, attention.group)
    body(.key, attention.key, 1)
    body(.value, attention.value, 1)
  }
}

private enum HeadRole: Int {
  case query
  case key
  case value
}

extension ComputeEngine {
  /// Whether a thread may take a key/value head with its queries from the products to the next product's
  /// input, which spares two meetings and moving all that between processors' caches: each thread
  /// has as many, and what it makes are whole blocks.
  private func staysOnThread(_ attention: LayerAttention) -> Bool {
    attention.cache.keyValueHeads % pool.threads == 0 && attention.headDimension % 32 == 0
      && attention.group * attention.headDimension % Self.inputBlock == 0
  }

  private func attendByHead(_ step: HeadStep, _ input: LinearInput, into next: LinearInput) {
    let (attention, work) = (step.attention, step.work)
    let (base, stride) = scratch(bytesPerThread: max(work.scratchBytes, INGOT_MULTIPLY_SCRATCH))
    let (d, group) = (attention.headDimension, attention.group)
    let cost =
      (group + 2) * d * rowCost(attention.query.product, input)
      + input.tokens * group * work.costOfQuery
    split(attention.cache.keyValueHeads, cost: cost) { worker, heads in
      let scratch = base + worker * stride
      step.forEachProjection { role, projection, count in
        let rows = heads.lowerBound * count * d..<heads.upperBound * count * d
        multiply(projection.product, input, rows: rows, scratch: scratch)
        finishHeads(step, role, projection, rows: rows)
      }
      for head in heads {
        attend(
          step.task, head: head, tokens: input.tokens,
          step: Self.attentionStep(attention.queryHeads, attention.cache), scratch: scratch)
      }
      prepare(
        next, tokens: 0..<next.paddedTokens,
        columns: heads.lowerBound * group * d..<heads.upperBound * group * d)
    }
  }

  private func projectHeads(_ step: HeadStep, _ input: LinearInput) {
    let projections = [step.attention.query, step.attention.key, step.attention.value]
    multiply(
      projections.map(\.product), input, unit: Self.wholeHeads(step.attention.headDimension)
    ) { index, rows in
      guard let role = HeadRole(rawValue: index) else { return }
      finishHeads(step, role, projections[index], rows: rows)
    }
  }

  /// The least rows that are both whole heads and a multiple of 32.
  private static func wholeHeads(_ headDimension: Int) -> Int {
    var rows = headDimension
    while rows % 32 != 0 { rows += headDimension }
    return rows
  }

  /// Biases, RMSNorm and rotary embedding of heads, or what of these they have; keys and values are
  /// stored.
  private func finishHeads(
    _ step: HeadStep, _ role: HeadRole, _ projection: HeadProjection, rows: Range<Int>
  ) {
    let tokens = step.attention.tokens
    let (d, output) = (step.attention.headDimension, projection.product.output)
    let width = projection.product.matrix.rows
    addBias(projection.bias, output, width: width, rows: rows, tokens: tokens.count)
    for head in rows.lowerBound / d..<rows.upperBound / d {
      let heads = output + head * d
      if let norm = projection.norm {
        for token in 0..<tokens.count {
          normAndRotate(
            heads + token * width, weight: norm, epsilon: step.attention.epsilon,
            rope: step.rope + Int(tokens.positions[token]) * d, headDimension: d)
        }
      }
      guard role != .query else { continue }
      var cache = step.task.pointee.cache
      for token in 0..<tokens.count {
        let x = heads + token * width
        functions.cache_store(
          &cache, Int64(head), Int64(tokens.destinations[token]), role == .key ? x : nil,
          role == .value ? x : nil)
      }
    }
  }

  /// RMSNorm of one head, then rotary embedding, in place.
  ///
  /// Hugging Face's convention: element i of the first half turns with element i of the second.
  ///
  /// - Parameters:
  ///   - x: [headDimension].
  ///   - weight: [headDimension].
  ///   - rope: cosines, then sines of the token's position, half of headDimension each.
  package func normAndRotate(
    _ x: UnsafeMutablePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float,
    rope: UnsafePointer<Float>, headDimension: Int
  ) {
    functions.head_norm_rope(
      x, weight, epsilon, Int64(headDimension), rope, rope + headDimension / 2)
  }
}
