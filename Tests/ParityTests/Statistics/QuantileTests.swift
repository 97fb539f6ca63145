import Parity
import Testing

@Suite struct QuantileTests {
  /// What `numpy.quantile` gives for [1, 2, 4, 8, 16].
  @Test(arguments: [(0, 1.0), (0.1, 1.4), (0.25, 2), (0.5, 4), (0.9, 12.8), (0.95, 14.4), (1, 16)])
  func interpolatesAsNumPyDoes(share: Double, expected: Double) {
    #expect(abs(quantile([1, 2, 4, 8, 16], share) - expected) < 1e-12)
  }

  @Test func percentilesOfOneToThousand() throws {
    let shuffled = (0..<1000).map { Float(($0 * 617) % 1000 + 1) }
    let result = try #require(Percentiles(shuffled))
    #expect(result.mean == 500.5)
    #expect(result.median == 500.5)
    #expect(abs(result.p90 - 900.1) < 1e-9)
    #expect(abs(result.p95 - 950.05) < 1e-9)
    #expect(abs(result.p99 - 990.01) < 1e-9)
    #expect(abs(result.p999 - 999.001) < 1e-9)
    #expect(result.max == 1000)
  }

  @Test func smallestSamples() throws {
    #expect(Percentiles([]) == nil)
    let one = try #require(Percentiles([3]))
    #expect(one.median == 3 && one.p999 == 3 && one.max == 3)
    let infinite = try #require(Percentiles([0, .infinity, .infinity]))
    #expect(infinite.p99 == .infinity)
  }
}
