/// The value below which a share of a sample lies, linearly interpolated between order statistics
/// (type 7 of Hyndman and Fan, 1996: what NumPy computes by default).
///
/// - Parameters:
///   - sorted: ascending, not empty.
///   - share: in 0…1.
package func quantile(_ sorted: [Float], _ share: Double) -> Double {
  precondition(!sorted.isEmpty && (0...1).contains(share))
  let place = share * Double(sorted.count - 1)
  let lower = Int(place)
  let low = Double(sorted[lower])
  guard lower + 1 < sorted.count else { return low }
  let high = Double(sorted[lower + 1])
  // Equal neighbours are returned as they are: infinity minus infinity would be NaN.
  return high == low ? low : low + (place - Double(lower)) * (high - low)
}

/// Mean, tail percentiles and maximum of a sample.
package struct Percentiles: Sendable, Equatable, Codable {
  package let mean, median, p90, p95, p99, p999, max: Double

  /// Nil for an empty sample. The mean is summed in the order given, so order first.
  package init?(_ values: [Float]) {
    guard !values.isEmpty else { return nil }
    mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
    let sorted = values.sorted()
    median = quantile(sorted, 0.5)
    p90 = quantile(sorted, 0.9)
    p95 = quantile(sorted, 0.95)
    p99 = quantile(sorted, 0.99)
    p999 = quantile(sorted, 0.999)
    max = quantile(sorted, 1)
  }
}
