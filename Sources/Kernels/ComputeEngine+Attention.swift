import CIngotKernels

extension ComputeEngine {
  /// softmax(q·k / √d)·v over the cache entries that each token's span names.
  ///
  /// Query head h reads key/value head h / (queryHeads / keyValueHeads).
  ///
  /// - Parameters:
  ///   - queries: [tokens × queryHeads × headDimension], after RoPE.
  ///   - spans: one per token.
  ///   - output: [tokens × queryHeads × headDimension]; zeros for a token that sees nothing.
  package func attend(
    queries: UnsafePointer<Float>, tokens: Int, queryHeads: Int, layer: Int,
    cache: KeyValueCache, spans: [AttentionSpan], into output: UnsafeMutablePointer<Float>
  ) {
    precondition(spans.count == tokens && queryHeads % cache.keyValueHeads == 0)
    guard tokens > 0 else { return }
    withAttention(
      queries: queries, queryHeads: queryHeads, layer: layer, cache: cache, spans: spans,
      into: output
    ) { attend($0, AttentionWork(spans, cache), queryHeads: queryHeads, tokens: tokens, cache) }
  }

  /// All tokens' attention over all heads, a few tokens of a head at a time.
  func attend(
    _ task: UnsafePointer<ingot_attention>, _ work: AttentionWork, queryHeads: Int, tokens: Int,
    _ cache: KeyValueCache
  ) {
    let (base, stride) = scratch(bytesPerThread: work.scratchBytes)
    let step = Self.attentionStep(queryHeads, cache)
    let blocks = (tokens + step - 1) / step
    let cost = tokens * queryHeads * work.costOfQuery
    runItems(blocks * cache.keyValueHeads, cost: cost) { worker, item in
      let first = item / cache.keyValueHeads * step
      functions.attend(
        task, Int64(item % cache.keyValueHeads), Int64(first),
        Int64(min(first + step, tokens)), base + worker * stride)
    }
  }

  /// All tokens' attention over one key/value head, on this thread.
  func attend(
    _ task: UnsafePointer<ingot_attention>, head: Int, tokens: Int, step: Int,
    scratch: UnsafeMutableRawPointer
  ) {
    for first in stride(from: 0, to: tokens, by: step) {
      functions.attend(
        task, Int64(head), Int64(first), Int64(min(first + step, tokens)), scratch)
    }
  }

  /// Tokens that share a call, and so loads of keys and values.
  static func attentionStep(_ queryHeads: Int, _ cache: KeyValueCache) -> Int {
    max(1, Int(INGOT_ATTENTION_QUERIES) / (queryHeads / cache.keyValueHeads))
  }

  /// Calls `body` with the C view of a layer's attention.
  func withAttention(
    queries: UnsafePointer<Float>, queryHeads: Int, layer: Int, cache: KeyValueCache,
    spans: [AttentionSpan], into output: UnsafeMutablePointer<Float>,
    _ body: (UnsafePointer<ingot_attention>) -> Void
  ) {
    spans.withUnsafeBufferPointer { spans in
      spans.withMemoryRebound(to: ingot_span.self) { spans in
        let task = ingot_attention(
          cache: cache.view(layer), queries: queries, output: output,
          spans: spans.baseAddress, query_heads: Int64(queryHeads),
          scale: 1 / Float(cache.headDimension).squareRoot())
        withUnsafePointer(to: task, body)
      }
    }
  }

  /// Items one at a time over the threads, or on the caller when the whole is small.
  private func runItems(_ count: Int, cost: Int, _ body: (_ worker: Int, _ item: Int) -> Void) {
    if cost < 1 << 15 {
      for item in 0..<count { body(0, item) }
    } else {
      pool.run(count: count, body)
    }
  }
}

/// What attention of some tokens takes.
struct AttentionWork {
  /// Bytes for each thread.
  let scratchBytes: Int
  /// Elementary operations for one query head of one token, at most.
  let costOfQuery: Int

  /// - Parameter spans: none ends beyond the cache's capacity.
  init(_ spans: [AttentionSpan], _ cache: KeyValueCache) {
    let visible = Self.visibleEntries(spans)
    precondition(visible.largest <= cache.capacity, "a span ends beyond the cache")
    scratchBytes = Int(
      ingot_attention_scratch(Int64(visible.most), Int64(cache.headDimension)))
    costOfQuery = cache.headDimension * visible.most / 8
  }

  /// The most entries that any group of neighbouring tokens may see, and the end of the last.
  private static func visibleEntries(_ spans: [AttentionSpan]) -> (most: Int, largest: Int) {
    var prefix: Int32 = 0
    var low = Int32.max
    var high: Int32 = 0
    for span in spans {
      precondition(span.prefixEnd >= 0 && span.start >= 0)
      prefix = max(prefix, span.prefixEnd)
      if span.end > span.start {
        low = min(low, span.start)
        high = max(high, span.end)
      }
    }
    let own = high > max(low, prefix) ? Int(high - max(low, prefix)) : 0
    return (Int(prefix) + own, Int(max(prefix, high)))
  }
}
