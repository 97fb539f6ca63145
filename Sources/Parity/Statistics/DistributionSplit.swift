internal import Foundation

/// The same figures over ranges of one property of the positions: where the drift is.
package struct DistributionSplit: Sendable, Equatable, Codable {
  /// What positions are told apart by.
  package enum Dimension: String, Sendable, Codable, CaseIterable {
    /// The objective's masking probability.
    case maskRatio = "mask_ratio"
    /// Index in the slot.
    case positionInSlot = "position_in_slot"
    /// Index in the response.
    case position
    /// The reference's largest probability.
    case confidence
  }

  /// Positions with lower ≤ value < upper; the last range of a share includes 1.
  package struct Bin: Sendable, Equatable, Codable {
    package var lower: Double
    package var upper: Double
    package var positions: Int
    package var meanDivergence: Double
    package var p90Divergence: Double
    package var topOneAgreement: Double
    package var lossDifference: Double
    package var probabilityChange: Double

    enum CodingKeys: String, CodingKey {
      case lower, upper, positions
      case meanDivergence = "kl_mean"
      case p90Divergence = "kl_p90"
      case topOneAgreement = "top1_agreement"
      case lossDifference = "nll_difference"
      case probabilityChange = "probability_change"
    }
  }

  package var dimension: Dimension
  package var head: String
  /// Ascending, empty ranges left out.
  package var bins: [Bin]

  enum CodingKeys: String, CodingKey {
    case dimension = "by"
    case head, bins
  }
}

extension DistributionSplit {
  /// Every split that the positions allow, head by head.
  ///
  /// - Parameter positions: in the order of `PositionRecord.precedes`.
  package static func all(_ positions: [PositionRecord]) -> [DistributionSplit] {
    ScoringHead.allCases.flatMap { head in
      let own = positions.filter { $0.head == head && $0.isFinite }
      return Dimension.allCases.compactMap { dimension in
        let split = DistributionSplit(own, by: dimension, head: head)
        return split.bins.isEmpty ? nil : split
      }
    }
  }

  init(_ positions: [PositionRecord], by dimension: Dimension, head: ScoringHead) {
    self.dimension = dimension
    self.head = head.rawValue
    let edges = dimension.edges
    var groups = [[PositionRecord]](repeating: [], count: edges.count - 1)
    for position in positions {
      guard let value = dimension.value(position) else { continue }
      // The last edge not above the value; values beyond the last edge belong to the last range.
      let bin = edges.lastIndex { $0 <= value } ?? 0
      groups[min(bin, groups.count - 1)].append(position)
    }
    bins = groups.indices.compactMap { index in
      Bin(groups[index], lower: edges[index], upper: edges[index + 1])
    }
  }
}

extension DistributionSplit.Dimension {
  /// Range limits: finer where most positions lie (confidence piles up at 1, slots begin at 0).
  var edges: [Double] {
    switch self {
    case .maskRatio: (0...10).map { Double($0) / 10 }
    case .positionInSlot: [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128]
    case .position: [0, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 4096]
    case .confidence: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1]
    }
  }

  /// Nil where the position has no such property.
  func value(_ position: PositionRecord) -> Double? {
    switch self {
    case .maskRatio: position.metric == .objective ? Double(position.maskRatio) : nil
    case .positionInSlot: position.slotSize > 0 ? Double(position.positionInSlot) : nil
    case .position: Double(position.position)
    case .confidence: Double(position.confidence)
    }
  }
}

extension DistributionSplit.Bin {
  init?(_ positions: [PositionRecord], lower: Double, upper: Double) {
    guard let divergence = Percentiles(positions.map(\.divergence)) else { return nil }
    let count = Double(positions.count)
    self.lower = lower
    self.upper = upper
    self.positions = positions.count
    meanDivergence = divergence.mean
    p90Divergence = divergence.p90
    topOneAgreement = Double(positions.count { $0.topOneAgrees }) / count
    lossDifference =
      positions.reduce(0) { $0 + Double($1.candidateLoss) - Double($1.referenceLoss) } / count
    probabilityChange = positions.reduce(0) { $0 + $1.probabilityChange } / count
  }
}

/// How many positions have a divergence in each half decade: the shape that a mean hides.
package struct DivergenceHistogram: Sendable, Equatable, Codable {
  /// Lower limits as powers of ten: −8, −7.5, … 1.5; the first bin also holds everything below.
  package static let exponents = stride(from: -8.0, through: 1.5, by: 0.5).map { $0 }
  package var counts: [Int]

  package init(_ positions: some Sequence<PositionRecord>) {
    counts = [Int](repeating: 0, count: Self.exponents.count)
    for position in positions where position.isFinite {
      let exponent = position.divergence > 0 ? log10(Double(position.divergence)) : -.infinity
      let bin = Self.exponents.lastIndex { $0 <= exponent } ?? 0
      counts[bin] += 1
    }
  }
}
