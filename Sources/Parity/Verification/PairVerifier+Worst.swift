internal import Foundation

extension PairVerifier {
  /// Worst positions kept per pair.
  private static let worstPerPair = 2

  /// The positions that moved most, with the text around them.
  func worst(_ pair: VerificationPair, _ positions: [PositionRecord]) -> [WorstPosition] {
    let finite = positions.filter { $0.isFinite && $0.divergence > 0 }
    let sorted = finite.sorted {
      $0.divergence != $1.divergence
        ? $0.divergence > $1.divergence : PositionRecord.precedes($0, $1)
    }
    // One metric after another scores the same token; show different tokens.
    var shown: [PositionRecord] = []
    for record in sorted where shown.count < Self.worstPerPair {
      if !shown.contains(where: { $0.position == record.position }) { shown.append(record) }
    }
    return
      shown
      .map { record in
        let before = pair.example.response.prefix(Int(record.position))
        return WorstPosition(
          pair: pair.index, position: Int(record.position), head: record.head.rawValue,
          divergence: Double(record.divergence), context: String(text(Array(before)).suffix(80)),
          correct: name(record.correctToken), referenceToken: name(record.referenceTop),
          candidateToken: name(record.candidateTop),
          referenceProbability: exp(-Double(record.referenceLoss)),
          candidateProbability: exp(-Double(record.candidateLoss)))
      }
  }

  /// A token as text; special and partial ones by their number.
  func name(_ token: UInt32) -> String {
    if Int(token) == scorer.endToken.map(Int.init) { return "EOS" }
    let text = text([Int32(bitPattern: token)])
    return text.isEmpty ? "#\(token)" : text
  }
}
