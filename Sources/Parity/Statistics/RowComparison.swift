internal import Foundation

/// How a candidate's next-token distribution differs from the reference's at one position.
///
/// Everything is computed from the two rows of logits in two sweeps, without scratch memory.
package struct RowComparison: Sendable, Equatable {
  /// KL(reference ‖ candidate) in nats: never negative, exactly 0 for equal rows, infinite when
  /// a logit is not finite.
  package let divergence: Double
  /// −log p(correct token) under the reference, in nats.
  package let referenceLoss: Double
  /// −log p(correct token) under the candidate, in nats.
  package let candidateLoss: Double
  /// The reference's largest probability.
  package let referenceConfidence: Double
  /// The candidate's largest probability.
  package let candidateConfidence: Double
  /// The reference's most likely token; the lowest id on a tie.
  package let referenceTop: Int
  /// The candidate's most likely token; the lowest id on a tie.
  package let candidateTop: Int
  /// How many of the reference's five most likely tokens are among the candidate's five.
  package let sharedTopFive: Int
  /// Five, or the vocabulary size where that is smaller.
  package let topCount: Int
  /// False when a logit of either row was NaN or infinite: the figures above then mean nothing.
  package let isFinite: Bool

  package var topOneAgrees: Bool { referenceTop == candidateTop }

  /// p(correct | candidate) − p(correct | reference).
  package var probabilityChange: Double { exp(-candidateLoss) - exp(-referenceLoss) }
}

extension RowComparison {
  /// Compares two rows of logits.
  ///
  /// With a, b the rows, A, B their log-sum-exps and d = (a − max a) − (b − max b), the divergence
  /// is Σ p·(log p − log q) = Σ p·d − log Σ exp(a − max a) + log Σ exp(b − max b). The
  /// differences d are exact in double, and equal rows give 0 in every term, so the error stays
  /// near 1e-11 however small the divergence is.
  ///
  /// - Parameters:
  ///   - reference: `[vocabulary]` logits of the reference, not empty.
  ///   - candidate: `[vocabulary]` logits of the candidate.
  ///   - correct: the token whose loss is reported.
  /// - Complexity: O(vocabulary), no allocation.
  package init(
    reference: UnsafeBufferPointer<Float>, candidate: UnsafeBufferPointer<Float>, correct: Int
  ) {
    precondition(!reference.isEmpty && reference.count == candidate.count)
    precondition(reference.indices.contains(correct))
    let referenceTokens = TopTokens(reference)
    let candidateTokens = TopTokens(candidate)
    let referencePeak = Double(referenceTokens.values[0])
    let candidatePeak = Double(candidateTokens.values[0])
    let sums = ExponentialSums(
      reference, peak: referencePeak, candidate, peak: candidatePeak)
    let referenceLog = log(sums.reference)
    let candidateLog = log(sums.candidate)
    let raw = sums.weightedDifference / sums.reference - referenceLog + candidateLog

    referenceLoss = referenceLog - (Double(reference[correct]) - referencePeak)
    candidateLoss = candidateLog - (Double(candidate[correct]) - candidatePeak)
    isFinite = raw.isFinite && referenceLoss.isFinite && candidateLoss.isFinite
    divergence = isFinite ? max(0, raw) : .infinity
    referenceConfidence = 1 / sums.reference
    candidateConfidence = 1 / sums.candidate
    referenceTop = Int(max(0, referenceTokens.tokens[0]))
    candidateTop = Int(max(0, candidateTokens.tokens[0]))
    sharedTopFive = referenceTokens.shared(with: candidateTokens)
    topCount = min(TopTokens.count, reference.count)
  }
}

/// Σ eˣ, Σ eʸ and Σ eˣ·(x − y), x and y being the rows less their maxima.
private struct ExponentialSums {
  private var lanesX = Lanes.zero
  private var lanesY = Lanes.zero
  private var lanesDifference = Lanes.zero

  var reference: Double { reduced(lanesX) }
  var candidate: Double { reduced(lanesY) }
  var weightedDifference: Double { reduced(lanesDifference) }

  init(
    _ reference: UnsafeBufferPointer<Float>, peak referencePeak: Double,
    _ candidate: UnsafeBufferPointer<Float>, peak candidatePeak: Double
  ) {
    let width = Lanes.scalarCount
    let whole = reference.count / width * width
    let referenceBase = UnsafeRawPointer(reference.baseAddress!)
    let candidateBase = UnsafeRawPointer(candidate.baseAddress!)
    var index = 0
    while index < whole {
      // Safe: index + 8 ≤ count of both rows, and loadUnaligned asks for no alignment.
      let a = referenceBase.loadUnaligned(fromByteOffset: index &* 4, as: SIMD8<Float>.self)
      let b = candidateBase.loadUnaligned(fromByteOffset: index &* 4, as: SIMD8<Float>.self)
      add(Lanes(a) - referencePeak, Lanes(b) - candidatePeak)
      index &+= width
    }
    guard index < reference.count else { return }
    // Absent lanes hold e⁻⁷⁰⁸ ≈ 1e-308 and no difference: nothing beside a sum ≥ 1.
    var x = Lanes(repeating: -1000)
    var y = x
    for lane in 0..<(reference.count - index) {
      x[lane] = Double(reference[index + lane]) - referencePeak
      y[lane] = Double(candidate[index + lane]) - candidatePeak
    }
    add(x, y)
  }

  @inline(__always)
  private mutating func add(_ x: Lanes, _ y: Lanes) {
    let u = exponential(x)
    lanesX += u
    lanesY += exponential(y)
    lanesDifference += u * (x - y)
  }
}
