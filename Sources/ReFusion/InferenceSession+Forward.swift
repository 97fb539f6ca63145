internal import Architecture
internal import Kernels

extension InferenceSession {
  /// Tokens that go through the layers together. Longer inputs are cut, which bounds working
  /// memory and changes no result: a token only sees entries written with or before its own piece.
  static let tokensPerPass = 512

  /// Runs a batch through all layers and leaves its last hidden states for `score`.
  ///
  /// Keys and values land at the batch's destinations; committing them is a matter of counting
  /// them in, dropping them of not.
  package func forward(_ batch: ForwardBatch) {
    forwardCount += 1
    workProbe?(.forward(tokens: batch.count, context: Int(batch.spans.first?.prefixEnd ?? 0)))
    let began = ContinuousClock.now
    defer { arithmeticTime += ContinuousClock.now - began }
    cache.reserve(batch.capacityNeeded)
    let width = model.configuration.hiddenSize
    let hidden = buffers.hidden.reserve(batch.count * width)
    var start = 0
    while start < batch.count {
      let range = start..<min(start + Self.tokensPerPass, batch.count)
      run(batch, range, hidden + start * width)
      start = range.upperBound
    }
  }

  private func run(
    _ batch: ForwardBatch, _ range: Range<Int>, _ hidden: UnsafeMutablePointer<Float>
  ) {
    let width = model.configuration.hiddenSize
    for (offset, index) in range.enumerated() {
      model.embedding.write(token: Int(batch.tokens[index]), into: hidden + offset * width)
    }
    let piece = Piece(
      positions: Array(batch.positions[range]), destinations: Array(batch.destinations[range]),
      spans: Array(batch.spans[range]))
    for (index, layer) in model.layers.enumerated() {
      attend(layer, index, piece, hidden)
      feedForward(layer, piece.count, hidden)
      layerProbe?(index, hidden, piece.count)
    }
  }

  /// hidden += o(attention(norm(hidden)))
  private func attend(
    _ layer: LayerWeights, _ index: Int, _ piece: Piece, _ hidden: UnsafeMutablePointer<Float>
  ) {
    let shape = model.configuration
    let tokens = piece.count
    let width = shape.hiddenSize
    let queryWidth = shape.attentionHeads * shape.headDimension
    let keyWidth = shape.keyValueHeads * shape.headDimension
    let normed = buffers.normed.reserve(tokens * width)
    let queries = buffers.queries.reserve(tokens * queryWidth)
    let keys = buffers.keys.reserve(tokens * keyWidth)
    let values = buffers.values.reserve(tokens * keyWidth)
    engine.rmsNorm(
      hidden, weight: layer.inputNorm, epsilon: shape.rmsNormEpsilon, tokens: tokens, width: width,
      into: normed)
    engine.multiply(
      [layer.query, layer.key, layer.value], input: normed, tokens: tokens,
      outputs: [queries, keys, values], arithmetic: arithmetic)
    if let biases = layer.biases {
      engine.addBias(queries, bias: biases.query, tokens: tokens, width: queryWidth)
      engine.addBias(keys, bias: biases.key, tokens: tokens, width: keyWidth)
      engine.addBias(values, bias: biases.value, tokens: tokens, width: keyWidth)
    }
    engine.headNormAndRope(
      queries, heads: shape.attentionHeads, headDimension: shape.headDimension,
      weight: layer.queryNorm, epsilon: shape.rmsNormEpsilon, positions: piece.positions,
      rope: rope, tokens: tokens)
    engine.headNormAndRope(
      keys, heads: shape.keyValueHeads, headDimension: shape.headDimension,
      weight: layer.keyNorm, epsilon: shape.rmsNormEpsilon, positions: piece.positions,
      rope: rope, tokens: tokens)
    for token in 0..<tokens {
      cache.store(
        layer: index, index: Int(piece.destinations[token]), key: keys + token * keyWidth,
        value: values + token * keyWidth, kernels: engine.kernels)
    }
    let attended = buffers.attended.reserve(tokens * queryWidth)
    engine.attend(
      queries: queries, tokens: tokens, queryHeads: shape.attentionHeads, layer: index,
      cache: cache, spans: piece.spans, into: attended)
    let projected = buffers.projected.reserve(tokens * width)
    engine.multiply(
      [layer.output], input: attended, tokens: tokens, outputs: [projected],
      arithmetic: arithmetic)
    if let biases = layer.biases {
      engine.addBias(projected, bias: biases.output, tokens: tokens, width: width)
    }
    engine.add(hidden, projected, count: tokens * width)
  }

  /// hidden += down(silu(gate(norm(hidden))) · up(norm(hidden)))
  private func feedForward(
    _ layer: LayerWeights, _ tokens: Int, _ hidden: UnsafeMutablePointer<Float>
  ) {
    let shape = model.configuration
    let width = shape.hiddenSize
    let normed = buffers.normed.reserve(tokens * width)
    let gate = buffers.gate.reserve(tokens * shape.intermediateSize)
    let up = buffers.up.reserve(tokens * shape.intermediateSize)
    engine.rmsNorm(
      hidden, weight: layer.postAttentionNorm, epsilon: shape.rmsNormEpsilon, tokens: tokens,
      width: width, into: normed)
    engine.multiply(
      [layer.gate, layer.up], input: normed, tokens: tokens, outputs: [gate, up],
      arithmetic: arithmetic)
    engine.swiglu(gate: gate, up: up, count: tokens * shape.intermediateSize)
    let projected = buffers.projected.reserve(tokens * width)
    engine.multiply(
      [layer.down], input: gate, tokens: tokens, outputs: [projected], arithmetic: arithmetic)
    engine.add(hidden, projected, count: tokens * width)
  }
}

/// The part of a batch that goes through the layers in one pass.
private struct Piece {
  let positions: [Int32]
  let destinations: [Int32]
  let spans: [AttentionSpan]
  var count: Int { positions.count }
}
