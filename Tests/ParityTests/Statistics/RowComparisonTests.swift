import Foundation
import Parity
import Testing

/// Rows of logits from a seed; `noise` is added to the second.
private func rows(_ count: Int, noise: Float, seed: UInt64) -> (a: [Float], b: [Float]) {
  var generator = SeededGenerator(seed: seed)
  let a = (0..<count).map { _ in Float(generator.unit() * 24 - 12) }
  let b = a.map { $0 + noise * Float(generator.unit() * 2 - 1) }
  return (a, b)
}

private func compare(_ a: [Float], _ b: [Float], correct: Int = 0) -> RowComparison {
  a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      RowComparison(reference: a, candidate: b, correct: correct)
    }
  }
}

/// The definition, in double with libm: Σ p·(log p − log q), summed by increasing magnitude.
private func divergenceByDefinition(_ a: [Float], _ b: [Float]) -> Double {
  func logSoftmax(_ row: [Float]) -> [Double] {
    let peak = Double(row.max()!)
    let total = row.map { exp(Double($0) - peak) }.sorted().reduce(0, +)
    return row.map { Double($0) - peak - log(total) }
  }
  return zip(logSoftmax(a), logSoftmax(b)).map { exp($0) * ($0 - $1) }
    .sorted { abs($0) < abs($1) }.reduce(0, +)
}

@Suite struct RowComparisonTests {
  @Test(arguments: [1, 2, 7, 8, 9, 15, 16, 17, 33, 3009, 151_671])
  func equalRowsDivergeByExactlyZero(count: Int) {
    let (a, _) = rows(count, noise: 0, seed: UInt64(count))
    let result = compare(a, a, correct: count - 1)
    #expect(result.divergence == 0)
    #expect(result.referenceLoss == result.candidateLoss)
    #expect(result.topOneAgrees)
    #expect(result.sharedTopFive == min(5, count))
    #expect(result.isFinite)
  }

  @Test(arguments: [2, 5, 8, 11, 64, 1003, 3009], [1e-3, 1e-2, 0.1, 1, 5] as [Float])
  func divergenceEqualsItsDefinition(count: Int, noise: Float) {
    let (a, b) = rows(count, noise: noise, seed: UInt64(count))
    let expected = divergenceByDefinition(a, b)
    let result = compare(a, b)
    // 1e-11 from the exponential, and the definition's own rounding.
    #expect(abs(result.divergence - expected) <= 1e-10 + 1e-9 * expected)
    #expect(result.divergence >= 0)
  }

  @Test func divergenceOfTwoKnownDistributions() {
    // p = (1/2, 1/2), q = (1/4, 3/4): KL = log 2 − log 3 / 2 … in closed form.
    let result = compare([0, 0], [0, Float(log(3.0))], correct: 1)
    #expect(abs(result.divergence - (0.5 * log(2.0) + 0.5 * log(2.0 / 3))) < 1e-7)
    #expect(abs(result.referenceLoss - log(2.0)) < 1e-10)
    #expect(abs(result.candidateLoss - log(4.0 / 3)) < 1e-7)
    #expect(abs(result.referenceConfidence - 0.5) < 1e-10)
    #expect(abs(result.candidateConfidence - 0.75) < 1e-7)
    #expect(abs(result.probabilityChange - 0.25) < 1e-7)
  }

  @Test func aConstantShiftChangesNothing() {
    // Powers of two, so that the shifted floats are exact.
    let a: [Float] = [0, 1, 2, 3, -4, 5, -6, 7, 8]
    let result = compare(a, a.map { $0 + 1024 })
    #expect(result.divergence == 0)
    #expect(result.referenceLoss == result.candidateLoss)
  }

  @Test func extremeButFiniteLogitsGiveFiniteFigures() {
    let result = compare([-3e38, 0, 3e38], [3e38, 0, -3e38], correct: 0)
    #expect(result.divergence.isFinite == result.isFinite)
    #expect(result.referenceLoss > 1e38)
    #expect(compare([-1e5, 0], [-1e5, 0]).divergence == 0)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity], 0..<20)
  func aLogitThatIsNotFiniteIsReportedAndDoesNotTrap(bad: Float, index: Int) {
    let (a, _) = rows(20, noise: 0, seed: 3)
    var b = a
    b[index] = bad
    for (left, right) in [(a, b), (b, a), (b, b)] {
      let result = compare(left, right, correct: 4)
      #expect(!result.isFinite)
      #expect(result.divergence == .infinity)
    }
    let all = [Float](repeating: bad, count: 20)
    #expect(!compare(all, all).isFinite)
  }

  @Test func topTokensAreTheLargestWithTiesToTheLowerToken() {
    var a = [Float](repeating: 0, count: 40)
    a[7] = 2
    a[31] = 2
    a[39] = 1
    var b = a
    b[31] = 3
    let result = compare(a, b)
    #expect(result.referenceTop == 7)
    #expect(result.candidateTop == 31)
    #expect(!result.topOneAgrees)
    // Both rank 7, 31, 39 and then the lowest zeros, 0 and 1.
    #expect(result.sharedTopFive == 5)
    b[20] = 9
    b[21] = 8
    #expect(compare(a, b).sharedTopFive == 3)
  }

  @Test(arguments: 1...70)
  func topTokensAgreeWithASortAtEveryLength(count: Int) {
    let (a, b) = rows(count, noise: 6, seed: UInt64(count) &* 77)
    func top(_ row: [Float]) -> Set<Int> {
      let order = row.indices.sorted { row[$0] != row[$1] ? row[$0] > row[$1] : $0 < $1 }
      return Set(order.prefix(5))
    }
    let result = compare(a, b)
    #expect(result.referenceTop == a.firstIndex(of: a.max()!))
    #expect(result.candidateTop == b.firstIndex(of: b.max()!))
    #expect(result.sharedTopFive == top(a).intersection(top(b)).count)
    #expect(result.topCount == min(5, count))
  }
}
