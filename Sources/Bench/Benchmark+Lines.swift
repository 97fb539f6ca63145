internal import Architecture
internal import Bytes
internal import Kernels
internal import ReFusion

extension Benchmark {
  func result(
    _ line: BenchmarkCase, tokens: Int, _ timing: BenchmarkTiming, _ work: BenchmarkWork
  ) -> BenchmarkResult {
    BenchmarkResult(
      name: line.name, tokens: tokens, seconds: timing.seconds, work: work,
      limits: .median(timing.limits))
  }

  // MARK: Linear layers

  func linear(_ line: BenchmarkCase, _ tokens: Int) -> BenchmarkResult {
    let widest = subject.blocks.joined().joined().reduce((rows: 0, columns: 0)) {
      (max($0.rows, $1.rows), max($0.columns, $1.columns))
    }
    // Three matrices at most share an input, and so are written side by side.
    let (inputs, outputs) = (tokens * widest.columns, tokens * widest.rows)
    let memory = ZeroedPages(count: (inputs + 3 * outputs) * MemoryLayout<Float>.stride)
    let input = memory.base.bindMemory(to: Float.self, capacity: inputs + 3 * outputs)
    for index in 0..<inputs { input[index] = Float((index &* 40503) % 8191) / 1024 - 4 }
    var timing = timeAlways(atLeast: subject.isMixed ? subject.blocks.count : 1) { round in
      for group in subject.blocks[blockIndex(round)] {
        engine.multiply(
          group, input: input, tokens: tokens,
          outputs: group.indices.map { input + inputs + $0 * outputs },
          arithmetic: settings.arithmetic)
      }
    }
    timing.seconds = Self.secondsOfMeanBlock(
      timing.seconds, forms: timing.seconds.indices.map { subject.blockForms[blockIndex($0)] },
      shares: subject.formShares)
    let work = subject.blocks.reduce(into: BenchmarkWork()) { $0 += linearWork($1, tokens) }
    return result(line, tokens: tokens, timing, work / Double(subject.blocks.count))
  }

  /// Rounds go through the layers in order, so a block's weights have left every cache since the
  /// round that used them last, if the model is larger than the cache.
  private func blockIndex(_ round: Int) -> Int { (round + 1) % subject.blocks.count }

  /// Seconds of a block on average, one entry for each time that the commonest form was measured: a round of
  /// every form, weighed by its share of the blocks.
  ///
  /// - Parameters:
  ///   - seconds: one entry a round.
  ///   - forms: of each round's block; every one that has a share is there.
  package static func secondsOfMeanBlock(
    _ seconds: [Double], forms: [Int], shares: [Double]
  ) -> [Double] {
    var times = shares.map { _ in [Double]() }
    for (form, time) in zip(forms, seconds) { times[form].append(time) }
    let rounds = times.map(\.count).max() ?? 0
    return (0..<rounds).map { round in
      shares.indices.reduce(0.0) { sum, form in
        sum + shares[form] * times[form][round % times[form].count]
      }
    }
  }

  private func linearWork(_ block: [[WeightMatrix]], _ tokens: Int) -> BenchmarkWork {
    block.reduce(into: BenchmarkWork()) { work, group in
      work += .linear(group, tokens: tokens, engine: engine, arithmetic: settings.arithmetic)
    }
  }

  // MARK: Whole model

  func forward(_ line: BenchmarkCase, _ tokens: Int, context: Int) -> BenchmarkResult {
    if context > 0 { session.forward(batch(context, cacheLength: 0)) }
    let batch = batch(tokens, cacheLength: context)
    let timing = timeAlways { _ in
      session.forward(batch)
      _ = session.score(at: [tokens - 1])
    }
    var work = forwardWork(tokens, context: context)
    work += headWork(rows: 1)
    return result(line, tokens: tokens, timing, work)
  }

  /// Ordinary tokens, spread over the vocabulary.
  private func batch(_ tokens: Int, cacheLength: Int) -> ForwardBatch {
    let vocabulary = subject.model.configuration.vocabularySize
    let places = cacheLength..<cacheLength + tokens
    return .causal(
      tokens: places.map { Int32($0 &* 7919 % vocabulary) }, positions: places.map { Int32($0) },
      cacheLength: cacheLength)
  }

  /// All layers for `tokens` new tokens behind `context` cached ones.
  private func forwardWork(_ tokens: Int, context: Int) -> BenchmarkWork {
    var work = subject.blocks.reduce(into: BenchmarkWork()) { $0 += linearWork($1, tokens) }
    for _ in subject.blocks {
      work += .attention(
        pairs: tokens * context + tokens * (tokens + 1) / 2, entries: context + tokens,
        queryHeads: subject.model.configuration.attentionHeads, cache: session.cache)
    }
    return work
  }

  private func headWork(rows: Int) -> BenchmarkWork {
    .linear([subject.head], tokens: rows, engine: engine, arithmetic: settings.arithmetic)
  }

  // MARK: Attention

  /// One token's attention over a long context in several layers, cold between layers.
  func attention(_ line: BenchmarkCase, _ entries: Int) -> BenchmarkResult {
    let shape = subject.model.configuration
    let layers = min(shape.layerCount, 8)
    let cache = KeyValueCache(
      layers: layers, keyValueHeads: shape.keyValueHeads, headDimension: shape.headDimension,
      format: settings.cacheFormat, capacity: entries)
    let keys = [Float](repeating: 0.5, count: shape.keyValueHeads * shape.headDimension)
    for layer in 0..<layers {
      for index in 0..<entries {
        cache.store(layer: layer, index: index, key: keys, value: keys, kernels: engine.kernels)
      }
    }
    let queries = [Float](repeating: 0.25, count: shape.attentionHeads * shape.headDimension)
    var output = queries
    let timing = timeAlways { round in
      engine.attend(
        queries: queries, tokens: 1, queryHeads: shape.attentionHeads,
        layer: (round + 1) % layers, cache: cache,
        spans: [AttentionSpan(prefixEnd: Int32(entries))], into: &output)
    }
    var result = result(
      line, tokens: 1, timing,
      .attention(
        pairs: entries, entries: entries, queryHeads: shape.attentionHeads, cache: cache))
    result.details = [.init(name: "context", value: Double(entries))]
    return result
  }

  // MARK: ReFusion

  /// Decodes the prompt; work is that of the forwards and rows of logits as they came.
  func refusion(_ line: BenchmarkCase) throws(IngotError) -> BenchmarkResult {
    var found = DecodingResult()
    var work = BenchmarkWork()
    session.workProbe = { part in
      switch part {
      case .forward(let tokens, let context):
        work += self.forwardWork(tokens, context: context)
      case .logits(let rows): work += self.headWork(rows: rows)
      }
    }
    defer { session.workProbe = nil }
    let timing = try time { (_: Int) throws(IngotError) in
      work = BenchmarkWork()
      var decoder = try ReFusionDecoder(session: session, settings: settings.decoding)
      found = try decoder.decode(prompt: settings.prompt)
    }
    var result = result(line, tokens: found.tokens.count, timing, work)
    result.details = [
      .init(name: "slot_size", value: Double(settings.decoding.slotSize)),
      .init(name: "blocks", value: Double(settings.decoding.blocks)),
      .init(name: "forwards", value: Double(found.forwards)),
      .init(name: "passes", value: Double(found.passes)),
      .init(name: "tokens_per_forward", value: found.tokensPerForward),
      .init(
        name: "published_tokens_per_forward", value: found.publishedTokensPerForward ?? .nan),
    ]
    return result
  }

  /// `time` for rounds that cannot fail.
  private func timeAlways(atLeast rounds: Int = 1, _ round: (Int) -> Void) -> BenchmarkTiming {
    do {
      return try time(atLeast: rounds) { (index: Int) throws(IngotError) in round(index) }
    } catch {
      preconditionFailure("a round that cannot fail failed")
    }
  }
}
