internal import Tensors

/// What must be known of a whole tensor before its first group is quantized: the largest weight,
/// and a sample to fit a codebook to.
///
/// Surveys of disjoint rows can be taken on any threads and merged in any order.
package struct TensorSurvey: Sendable {
  /// Weights of a part of one row.
  struct Sample: Sendable {
    let row: Int
    let firstColumn: Int
    let weights: [Float]
  }

  var largest: Float = 0
  var samples: [Sample] = []

  package init() {}

  package mutating func merge(_ other: TensorSurvey) {
    largest = max(largest, other.largest)
    samples += other.samples
  }

  /// Which parts of which rows are looked at: spread over the tensor by its shape alone.
  struct Plan {
    /// Parts in one sampled tensor: 512 × 128 weights fit 16 levels well.
    static let parts = 512
    static let partColumns = 128

    let rowStride: Int
    let partsPerRow: Int
    let columns: Int
    let partLength: Int
    private let choices: Int

    init(_ layout: TileLayout) {
      columns = layout.columns
      partLength = min(Self.partColumns, layout.columns)
      choices = layout.columns / partLength
      rowStride = max(1, layout.rows / Self.parts)
      partsPerRow = min(choices, (Self.parts + layout.rows - 1) / layout.rows)
    }

    /// First columns of the parts of a row that are sampled.
    func firstColumns(row: Int) -> [Int] {
      guard row % rowStride == 0 else { return [] }
      // Multiplication by an odd constant spreads neighbouring rows over all columns.
      let start = Int(truncatingIfNeeded: (UInt64(row) &* 0x9E37_79B9_7F4A_7C15) >> 33)
      return (0..<partsPerRow).map { (start + $0) % choices * partLength }
    }
  }
}
