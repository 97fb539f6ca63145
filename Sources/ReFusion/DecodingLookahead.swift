internal import Kernels

/// How far the forwards of ReFusion decoding look ahead. Results do not depend on it.
package struct DecodingLookahead: Sendable, Hashable {
  /// Tokens beyond the accepted ones that an iteration of infill looks at, at first. The first of them passes
  /// whatever its probability, so two decide where the second does not pass.
  var reach: Int
  /// Gains of a row, from one token on, for which the forward that finds out which it is asks MASKs what comes
  /// next.
  var gains: Int
  /// Tokens of a slot alone that are drafted and verified before its others are.
  var piece: Int

  /// Four tokens a forward for one row, for where each token has its price.
  package static let narrow = DecodingLookahead(reach: 2, gains: 1, piece: 4)
  /// Eight tokens, and a fifth fewer forwards (24 answers of the trained checkpoint, τt = 0.4): for where the weights
  /// are the price, however many tokens meet them.
  package static let wide = DecodingLookahead(reach: 3, gains: 2, piece: 8)

  /// What suits a model on the kernels that run it. Weights that may lie in a processor's caches are no price, nor
  /// are those that a few tokens keep a processor busy with.
  init(_ model: ReFusionModel, on kernels: KernelTable) {
    let isNear = model.weightBytes <= Self.nearBytes
    let tokens = model.isQuantized ? kernels.sharedTokens : Self.sharedTokens
    self = isNear || tokens < Self.sharedTokens ? .narrow : .wide
  }

  private init(reach: Int, gains: Int, piece: Int) {
    self.reach = reach
    self.gains = gains
    self.piece = piece
  }

  private static let nearBytes = 64 << 20
  /// Tokens of a wide forward.
  private static let sharedTokens = 8
}
