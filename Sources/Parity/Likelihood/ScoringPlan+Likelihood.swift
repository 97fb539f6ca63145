internal import ReFusion

extension ScoringPlan {
  /// The usual next-token likelihood of the response: one forward of P + L tokens.
  package static func causal(_ example: Example) -> ScoringPlan {
    let prompt = example.prompt.count
    let scored = example.response.indices.map { index in
      ScoringTarget(
        input: prompt + index - 1, target: example.response[index], head: .causal,
        positionInSlot: 0, responseIndex: index)
    }
    return ScoringPlan(
      batch: .causal(
        tokens: example.prompt + example.response, positions: example.positions, cacheLength: 0),
      scored: scored)
  }

  /// The exact likelihood of the response in slots from left to right, in one forward of
  /// P + L + ⌈L/k⌉ tokens.
  ///
  /// The first token of each slot is read from a MASK at its position that sees the prompt and all
  /// earlier slots; the other tokens from the token before them. Nothing sees the MASKs, which lie
  /// behind the text in the cache, so the text's keys and values serve every slot.
  ///
  /// - Parameters:
  ///   - slotSize: k, at least 1.
  ///   - maskToken: the model's MASK id.
  package static func slots(
    _ example: Example, slotSize: Int, maskToken: Int32
  ) -> ScoringPlan {
    let prompt = example.prompt.count
    let text = example.prompt + example.response
    var batch = ForwardBatch.causal(
      tokens: text, positions: example.positions, cacheLength: 0)
    var scored: [ScoringTarget] = []
    for index in example.response.indices {
      let place = index % slotSize
      var input = prompt + index - 1
      if place == 0 {
        input = batch.count
        batch.append(
          token: maskToken, position: Int32(prompt + index), destination: input,
          prefixEnd: prompt + index, start: input)
      }
      scored.append(
        ScoringTarget(
          input: input, target: example.response[index],
          head: place == 0 ? .masked : .autoregressive, positionInSlot: place,
          responseIndex: index))
    }
    return ScoringPlan(batch: batch, scored: scored)
  }

  /// One sample of the training objective: clean slots in some order, then the masked ones
  /// ascending, every token of a masked slot replaced by MASK (arXiv 2512.13586, §3.2).
  package static func objective(
    _ example: Example, masking: SlotMasking, maskToken: Int32
  ) -> ScoringPlan {
    let prompt = example.prompt.count
    let size = masking.slotSize
    var tokens = example.prompt
    var positions = (0..<Int32(prompt)).map { $0 }
    var scored: [ScoringTarget] = []
    func slot(_ index: Int) -> Range<Int> {
      (index * size)..<min((index + 1) * size, example.response.count)
    }
    for index in masking.cleanOrder {
      for place in slot(index) {
        if place + 1 < slot(index).upperBound {
          scored.append(
            ScoringTarget(
              input: tokens.count, target: example.response[place + 1], head: .autoregressive,
              positionInSlot: place + 1 - slot(index).lowerBound, responseIndex: place + 1))
        }
        tokens.append(example.response[place])
        positions.append(Int32(prompt + place))
      }
    }
    for index in masking.masked {
      for place in slot(index) {
        scored.append(
          ScoringTarget(
            input: tokens.count, target: example.response[place], head: .masked,
            positionInSlot: place - slot(index).lowerBound, responseIndex: place))
        tokens.append(maskToken)
        positions.append(Int32(prompt + place))
      }
    }
    return ScoringPlan(
      batch: .causal(tokens: tokens, positions: positions, cacheLength: 0), scored: scored,
      maskProbability: masking.probability)
  }
}
