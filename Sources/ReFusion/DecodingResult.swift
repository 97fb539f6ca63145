/// What a decoder produced and what it cost.
public struct DecodingResult: Sendable, Hashable {
  /// The generated tokens by position, the EOS included when there is one.
  public var tokens: [Int32] = []
  /// Calls of the model, as the published traces count them.
  public var forwards = 0
  /// How often tokens really went through the layers: less often than counted where the outcome of a
  /// call was known from an earlier one, more often where a call was made on too few tokens at first. It
  /// depends on the size of the weights and on the instruction set; tokens and `forwards` do not.
  public var passes = 0
  /// Tokens per forward as published: the mean over rounds of k·slots/2 for a prefix commit and
  /// k·chosen/(2n+2) for n infill iterations. Nil for autoregressive decoding.
  public var publishedTokensPerForward: Double?

  public init(
    tokens: [Int32] = [], forwards: Int = 0, passes: Int = 0,
    publishedTokensPerForward: Double? = nil
  ) {
    self.tokens = tokens
    self.forwards = forwards
    self.passes = passes
    self.publishedTokensPerForward = publishedTokensPerForward
  }

  /// Generated tokens ÷ calls of the model.
  public var tokensPerForward: Double {
    forwards == 0 ? 0 : Double(tokens.count) / Double(forwards)
  }
}

/// What a decoder reports while it works.
package struct DecodingObserver {
  /// Called before scores of a forward are used, with the batch as rows; set for `--trace`.
  package var forward: ((TracedForward) -> Void)?
  /// Tokens that became final, with their positions.
  package var commit: ((_ tokens: [Int32], _ positions: [Int32]) -> Void)?
  /// Decisions of ReFusion decoding, in order.
  package var decision: ((DecodingDecision) -> Void)?

  /// Whether somebody sees tokens that decide nothing.
  var seesWholeRows: Bool { forward != nil || decision != nil }

  package init(
    forward: ((TracedForward) -> Void)? = nil,
    commit: ((_ tokens: [Int32], _ positions: [Int32]) -> Void)? = nil,
    decision: ((DecodingDecision) -> Void)? = nil
  ) {
    self.forward = forward
    self.commit = commit
    self.decision = decision
  }
}

/// One call of the model with the fields of the golden traces.
package struct TracedForward: Sendable, Hashable {
  package var cacheLength: Int
  /// One list per batch row; several rows are an infill of several slots.
  package var inputIDs: [[Int32]]
  package var positionIDs: [[Int32]]
  package var argmax: [[Int32]]
  package var argmaxProbability: [[Float]]
}

/// One decision of ReFusion decoding.
package enum DecodingDecision: Sendable, Hashable {
  /// Step A. One entry per undecided slot: where it starts, its draft's first token and that
  /// token's probability; and the indices chosen, ascending.
  case plan(starts: [Int32], firstTokens: [Int32], confidences: [Float], chosen: [Int])
  /// Step B. The drafts, the probability of each of their tokens, and how many pass in a row.
  case verify(drafts: [[Int32]], probabilities: [[Float]], accepted: Int)
  /// Step C: slots committed whole (the last maybe cut at its EOS).
  case prefixCommit(slots: Int, endsWithEOS: Bool)
  /// Step D, one iteration: rows after it, the probabilities verified from `offset` on, and the
  /// tokens accepted in each row so far.
  case infill(
    offset: Int, tokens: [[Int32]], probabilities: [[Float]], accepted: [Int], endsWithEOS: Bool)
}
