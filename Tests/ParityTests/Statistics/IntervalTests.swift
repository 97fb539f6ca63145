import Foundation
import Parity
import Testing

@Suite struct SeededGeneratorTests {
  /// The first outputs of the authors' C code for SplitMix64(0)-seeded xoshiro256**.
  @Test func followsThePublishedAlgorithm() {
    var generator = SeededGenerator(seed: 0)
    let first = (0..<4).map { _ in generator.next() }
    #expect(
      first == [
        0x99EC_5F36_CB75_F2B4, 0xBF6E_1F78_4956_452A, 0x1A5F_849D_4933_E6E0,
        0x6AA5_94F1_262D_2D2C,
      ])
  }

  @Test func indicesAreUniform() {
    var generator = SeededGenerator(seed: 9)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[generator.index(below: 7)] += 1 }
    // Chi-square with 6 degrees of freedom: 22.5 is exceeded once in a thousand.
    let chi = counts.reduce(0.0) { $0 + pow(Double($1) - 10_000, 2) / 10_000 }
    #expect(chi < 22.5)
  }
}

@Suite struct RatioEstimateTests {
  @Test func aRatioOfSumsWithItsError() throws {
    // θ = 12/6 = 2; residuals d − 2w = (1, −2, 1); SE = √(3/2 · 6) / 6 = 0.5.
    let result = try #require(RatioEstimate(sums: [3, 2, 7], weights: [1, 2, 3]))
    #expect(result.value == 2)
    #expect(try abs(#require(result.standardError) - 0.5) < 1e-15)
  }

  @Test func equalWeightsGiveTheStandardErrorOfAMean() throws {
    let result = try #require(RatioEstimate(sums: [1, 2, 3, 4], weights: [1, 1, 1, 1]))
    #expect(result.value == 2.5)
    #expect(try abs(#require(result.standardError) - (5.0 / 3 / 4).squareRoot()) < 1e-15)
  }

  @Test func degenerateSamples() {
    #expect(RatioEstimate(sums: [], weights: []) == nil)
    #expect(RatioEstimate(sums: [1], weights: [2])?.standardError == nil)
    #expect(RatioEstimate(sums: [0, 0], weights: [2, 5])?.standardError == 0)
  }
}

@Suite struct BootstrapIntervalTests {
  /// Standard normal by Box and Muller.
  private func normal(_ generator: inout SeededGenerator) -> Double {
    (-2 * log(1 - generator.unit())).squareRoot() * cos(2 * .pi * generator.unit())
  }

  /// Pairs of 20…119 tokens whose NLL sums differ by a pair effect and token noise, skewed.
  private func simulated(
    _ pairs: Int, mean: Double, _ generator: inout SeededGenerator
  ) -> (sums: [Double], weights: [Double]) {
    var sums: [Double] = []
    var weights: [Double] = []
    for _ in 0..<pairs {
      let tokens = Double(20 + generator.index(below: 100))
      // Exponential with mean 1, less 1: skewed to the right, as real differences are.
      let effect = 0.02 * (-log(1 - generator.unit()) - 1)
      let noise = 0.1 * tokens.squareRoot() * normal(&generator)
      sums.append(tokens * (mean + effect) + noise)
      weights.append(tokens)
    }
    return (sums, weights)
  }

  /// 1500 simulated verifications: the share of 95 % intervals that hold the truth has a standard
  /// error of 0.6 %, so a correct method lands between 93 and 97 %.
  @Test(arguments: [24, 64])
  func ninetyFivePercentIntervalsCoverTheTruth(pairs: Int) throws {
    var generator = SeededGenerator(seed: UInt64(pairs))
    let truth = 0.01
    var covered = 0
    let trials = 1500
    for trial in 0..<trials {
      let data = simulated(pairs, mean: truth, &generator)
      let interval = try #require(
        BootstrapInterval(
          sums: data.sums, weights: data.weights, resamples: 999, seed: UInt64(trial)))
      let lower = try #require(interval.lower)
      let upper = try #require(interval.upper)
      #expect(lower < interval.estimate && interval.estimate < upper)
      if lower <= truth && truth <= upper { covered += 1 }
    }
    let coverage = Double(covered) / Double(trials)
    #expect((0.93...0.97).contains(coverage), "coverage \(coverage)")
  }

  @Test func theSeedDecidesAndNothingElse() throws {
    var generator = SeededGenerator(seed: 5)
    let data = simulated(20, mean: 0, &generator)
    func interval(_ seed: UInt64) -> BootstrapInterval? {
      BootstrapInterval(sums: data.sums, weights: data.weights, seed: seed)
    }
    #expect(interval(1) == interval(1))
    #expect(interval(1) != interval(2))
  }

  @Test func identicalModelsGiveAnIntervalOfNoWidth() throws {
    let interval = try #require(
      BootstrapInterval(sums: [0, 0, 0], weights: [5, 9, 2], seed: 1))
    #expect(interval.lower == 0 && interval.upper == 0 && interval.standardError == 0)
  }

  @Test func tooFewPairsBoundNothing() throws {
    let one = try #require(BootstrapInterval(sums: [1], weights: [5], seed: 1))
    #expect(one.lower == nil && one.upper == nil)
    // Of two pairs, half of all resamples draw one pair twice.
    let two = try #require(BootstrapInterval(sums: [1, 2], weights: [5, 5], seed: 1))
    #expect(two.lower == nil && two.upper == nil)
    #expect(BootstrapInterval(sums: [], weights: [], seed: 1) == nil)
  }
}

@Suite struct NonInferiorityTests {
  private func outcome(_ differences: [Double], limit: Double) throws -> NonInferiority.Outcome {
    let interval = try #require(
      BootstrapInterval(
        sums: differences.map { $0 * 50 },
        weights: differences.map { _ in 50 }, seed: 11))
    return NonInferiority(interval: interval, maximumIncrease: limit).outcome
  }

  @Test func clearCasesAreDecided() throws {
    let spread = (0..<40).map { 0.001 * Double($0 % 5 - 2) }
    #expect(try outcome(spread, limit: 0.02) == .pass)
    #expect(try outcome(spread.map { $0 + 0.05 }, limit: 0.02) == .fail)
  }

  @Test func anOpenCaseSaysHowManyPairsWouldSettleIt() throws {
    // Spread 1.4 per pair around a third of the limit: 40 pairs leave ±0.45, the gap is 0.13.
    let spread = (0..<40).map { Double($0 % 5 - 2) + 0.06 }
    guard case .notEnoughData(let needed?) = try outcome(spread, limit: 0.2) else {
      Issue.record("should be undecided")
      return
    }
    #expect((400...700).contains(needed), "\(needed)")
  }

  @Test func aSinglePairAsksForMore() throws {
    #expect(try outcome([0.5], limit: 0.1) == .notEnoughData(pairsNeeded: 8))
  }

  @Test func identicalModelsPassAtZeroIncrease() throws {
    #expect(try outcome([0, 0, 0], limit: 0) == .pass)
  }

  @Test func looksDoubleAndShareTheError() {
    let looks = SequentialLooks(total: 100, confidence: 0.95)
    #expect(looks.pairs == [8, 16, 32, 64, 100])
    #expect(abs(looks.confidence - 0.99) < 1e-12)
    #expect(SequentialLooks(total: 5, confidence: 0.9).pairs == [5])
  }
}
