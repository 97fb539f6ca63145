package import Bytes
internal import Kernels

/// Plain next-token decoding of the same weights, for comparison and for models without a MASK.
package struct AutoregressiveDecoder {
  let session: InferenceSession
  let maximumTokens: Int
  let temperature: Double
  let endToken: Int32?
  let observer: DecodingObserver
  private var noise: GumbelNoise

  package init(
    session: InferenceSession, maximumTokens: Int, temperature: Double = 0, seed: UInt64 = 0,
    observer: DecodingObserver = DecodingObserver()
  ) {
    self.session = session
    self.maximumTokens = maximumTokens
    self.temperature = temperature
    self.observer = observer
    endToken = session.model.configuration.endOfTextToken.map { Int32($0) }
    noise = GumbelNoise(seed: seed)
  }

  /// Decodes until EOS, which is included, or `maximumTokens`.
  package mutating func decode(prompt: [Int32]) throws(IngotError) -> DecodingResult {
    try session.checkPrompt(prompt, generating: maximumTokens)
    var result = DecodingResult()
    let forwardsBefore = session.forwardCount
    let passesBefore = session.passCount
    var input = prompt
    var cacheLength = 0
    while result.tokens.count < maximumTokens {
      let places = (cacheLength..<(cacheLength + input.count)).map(Int32.init)
      session.forward(.causal(tokens: input, positions: places, cacheLength: cacheLength))
      trace(input, places, cacheLength)
      cacheLength += input.count
      let token = next(after: input.count - 1)
      result.tokens.append(token)
      observer.commit?([token], [Int32(cacheLength)])
      if token == endToken { break }
      input = [token]
    }
    result.forwards = session.forwardCount - forwardsBefore
    result.passes = session.passCount - passesBefore
    return result
  }

  private mutating func next(after index: Int) -> Int32 {
    temperature > 0
      ? session.sample(at: [index], temperature: temperature, noise: &noise)[0]
      : session.score(at: [index])[0].argmax
  }

  private func trace(_ input: [Int32], _ places: [Int32], _ cacheLength: Int) {
    guard let report = observer.forward else { return }
    let scores = session.score(at: Array(input.indices))
    report(
      TracedForward(
        cacheLength: cacheLength, inputIDs: [input], positionIDs: [places],
        argmax: [scores.map(\.argmax)], argmaxProbability: [scores.map(\.argmaxProbability)]))
  }
}
