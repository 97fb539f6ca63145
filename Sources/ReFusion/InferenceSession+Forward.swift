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
  ///
  /// - Parameter isRepeated: not counted, because an earlier part of the same call was, or one of fewer tokens.
  package func forward(_ batch: ForwardBatch, isRepeated: Bool = false) {
    countForward(isRepeated: isRepeated)
    passCount += 1
    if isRepeated { repeatCount += 1 }
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

  /// Counts a call of the model, also one whose outcome is known already.
  func countForward(isRepeated: Bool) {
    if !isRepeated { forwardCount += 1 }
  }

  private func run(
    _ batch: ForwardBatch, _ range: Range<Int>, _ hidden: UnsafeMutablePointer<Float>
  ) {
    let width = model.configuration.hiddenSize
    for (offset, index) in range.enumerated() {
      model.embedding.write(token: Int(batch.tokens[index]), into: hidden + offset * width)
    }
    let piece = AttentionTokens(
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
    _ layer: LayerWeights, _ index: Int, _ tokens: AttentionTokens,
    _ hidden: UnsafeMutablePointer<Float>
  ) {
    let epsilon = model.configuration.rmsNormEpsilon
    let normed = input(
      of: [layer.query, layer.key, layer.value], tokens.count, in: buffers.normed)
    engine.normalize(hidden, weight: layer.inputNorm, epsilon: epsilon, into: normed)
    let attended = input(of: [layer.output], tokens.count, in: buffers.attended)
    engine.attend(
      LayerAttention(
        query: HeadProjection(
          product(layer.query, tokens.count, in: buffers.queries), bias: layer.biases?.query,
          norm: layer.queryNorm),
        key: HeadProjection(
          product(layer.key, tokens.count, in: buffers.keys), bias: layer.biases?.key,
          norm: layer.keyNorm),
        value: HeadProjection(
          product(layer.value, tokens.count, in: buffers.values), bias: layer.biases?.value),
        epsilon: epsilon, rope: rope, tokens: tokens, layer: index, cache: cache),
      normed, into: attended)
    engine.multiply(
      product(layer.output, tokens.count, in: buffers.projected), attended,
      bias: layer.biases?.output, addingTo: hidden)
  }

  /// hidden += down(silu(gate(norm(hidden))) · up(norm(hidden)))
  private func feedForward(
    _ layer: LayerWeights, _ tokens: Int, _ hidden: UnsafeMutablePointer<Float>
  ) {
    let normed = input(of: [layer.gate, layer.up], tokens, in: buffers.normed)
    engine.normalize(
      hidden, weight: layer.postAttentionNorm, epsilon: model.configuration.rmsNormEpsilon,
      into: normed)
    let gated = input(of: [layer.down], tokens, in: buffers.gated)
    engine.multiplyGated(
      gate: layer.gate, up: product(layer.up, tokens, in: buffers.up), normed,
      arithmetic: arithmetic, into: gated)
    engine.multiply(
      product(layer.down, tokens, in: buffers.projected), gated, bias: nil, addingTo: hidden)
  }

  private func input(
    of weights: [WeightMatrix], _ tokens: Int, in memory: InputMemory
  ) -> LinearInput {
    engine.input(of: weights, tokens: tokens, arithmetic: arithmetic, in: memory)
  }

  private func product(
    _ matrix: WeightMatrix, _ tokens: Int, in buffer: FloatBuffer
  ) -> LinearProduct {
    engine.product(
      matrix, into: buffer.reserve(tokens * matrix.rows), tokens: tokens, arithmetic: arithmetic)
  }
}
