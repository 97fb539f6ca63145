/// How two models share the memory: side by side, or one after the other.
///
/// Both models are mapped; what does not fit is read again from the disk on every forward. Where
/// both together exceed the memory, each of them therefore gets its turn on many pairs at once,
/// and its pages are let go before the other's turn.
package struct ModelTurns {
  package enum Role: Sendable, Hashable {
    case reference
    case candidate
  }

  /// Pairs that a model works on before it is the other's turn; 1 is side by side.
  package let pairsAtOnce: Int
  /// Called when a model's turn is over.
  package let release: (Role) -> Void

  package static var sideBySide: ModelTurns { ModelTurns(pairsAtOnce: 1) { _ in } }

  package init(pairsAtOnce: Int, release: @escaping (Role) -> Void) {
    precondition(pairsAtOnce > 0)
    self.pairsAtOnce = pairsAtOnce
    self.release = release
  }

  /// Pairs of a turn, from the memory there is.
  ///
  /// Hidden states of a turn may take an eighth of the memory: a pair of an 8B-shaped model keeps
  /// about 20 MB, so a turn is then as long as a whole verification and each model is read once.
  ///
  /// - Parameters:
  ///   - modelBytes: of both models together.
  ///   - workingBytes: activations and logits of both.
  ///   - memory: bytes to stay within.
  ///   - bytesPerPair: what a pair keeps until it is compared (`PairVerifier.bytesKept`).
  package static func pairsAtOnce(
    modelBytes: Int, workingBytes: Int, memory: Int, bytesPerPair: Int
  ) -> Int {
    let (sum, overflow) = modelBytes.addingReportingOverflow(workingBytes)
    if !overflow, sum <= memory { return 1 }
    return max(2, memory / 8 / max(1, bytesPerPair))
  }
}
