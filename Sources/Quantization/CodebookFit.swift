internal import Kernels
internal import Tensors

/// Chooses the codebook and the tensor scale of a cb4 tensor.
///
/// The codebooks below are the levels of least squared error for Gaussian weights whose groups may
/// be turned round (Lloyd's algorithm, each group at its best scale). Trained weights come close;
/// tensors with heavier tails gain from levels of their own, so Lloyd's algorithm goes on from
/// there on a sample, and its result is kept where it lowers the error of the sample.
struct CodebookFit {
  let layout: TileLayout
  let searchesScales: Bool
  let kernel: QuantizationKernel

  /// Levels fitted to Gaussian weights, for groups of 16, 32, 64 and 128.
  static func gaussian(groupSize: Int) -> [Int8] {
    switch groupSize {
    case 16: [-120, -94, -72, -55, -40, -27, -14, -3, 9, 20, 33, 46, 61, 79, 97, 127]
    case 32: [-119, -91, -71, -54, -40, -27, -15, -3, 8, 20, 32, 45, 60, 76, 96, 127]
    default: [-116, -89, -69, -53, -39, -26, -14, -3, 8, 20, 31, 44, 58, 75, 95, 127]
    }
  }

  /// Largest S1E2M5 scale.
  static let largestGroupScale = HalfPrecision.float(fromS1E2M5: 127)

  /// The level that the tensor's largest weight falls on, at least, when its group has the largest
  /// scale: the search seldom wants it lower, and every step up costs the others precision.
  static let outermostLevel: Float = 94

  /// Most rounds of Lloyd's algorithm; the tensors that gain most settle within twenty.
  static let rounds = 20
  /// Part of the sample's squared error that a round must save for another one to follow: most
  /// tensors are so close to Gaussian that they stop at once.
  static let leastGain = 0.002

  /// Nil when the scale of the largest weight is not a finite f32.
  func parameters(for survey: TensorSurvey) -> TensorParameters? {
    let codebook = Self.gaussian(groupSize: layout.scheme.groupSize)
    // Below this the reciprocal of the scale is not finite; such weights are as good as zero.
    guard survey.largest > 0x1p-90 else { return TensorParameters(codebook: codebook) }
    let scale = survey.largest / (Self.outermostLevel * Self.largestGroupScale)
    guard scale.isFinite else { return nil }
    var best = TensorParameters(codebook: codebook, tensorScale: scale)
    guard let sample = Sample(survey, scheme: layout.scheme) else { return best }

    var current = best
    var least = Double.infinity
    for _ in 0...Self.rounds {
      guard let outcome = quantize(sample, current), outcome.error < least else { return best }
      let isWorthwhile = outcome.error < least * (1 - Self.leastGain)
      least = outcome.error
      best = current
      guard isWorthwhile, let next = outcome.levels else { return best }
      current.codebook = next
    }
    return best
  }

  /// The sampled parts as the rows of a matrix.
  private struct Sample {
    let layout: TileLayout
    let weights: [Float]

    init?(_ survey: TensorSurvey, scheme: QuantizationScheme) {
      let parts = survey.samples.sorted { ($0.row, $0.firstColumn) < ($1.row, $1.firstColumn) }
      guard let columns = parts.first?.weights.count,
        let layout = TileLayout(scheme: scheme, rows: parts.count, columns: columns)
      else { return nil }
      self.layout = layout
      weights = parts.flatMap(\.weights)
    }
  }

  /// Squared error of the sample with these parameters, and the levels that would be best for the
  /// codes it got; nil for the levels when they no longer ascend.
  private func quantize(
    _ sample: Sample, _ parameters: TensorParameters
  ) -> (error: Double, levels: [Int8]?)? {
    let layout = sample.layout
    let task = QuantizationKernel.Task(
      layout: layout, sourceType: .float32, searchesScales: searchesScales,
      codebook: parameters.codebook, tensorScale: parameters.tensorScale)
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: layout.tileBytes + QuantizationKernel.scratchBytes(for: layout), alignment: 64)
    defer { memory.deallocate() }
    let tile = UnsafeMutableRawBufferPointer(rebasing: memory[..<layout.tileBytes])
    let scratch = UnsafeMutableRawBufferPointer(rebasing: memory[layout.tileBytes...])
    var error = 0.0
    var sums = LevelSums()
    for index in 0..<layout.tileCount {
      let first = index * TileLayout.tileRows * layout.columns
      let rows = layout.liveRows(inTile: index)
      let weights = sample.weights[first..<first + rows * layout.columns]
      let outcome = weights.withUnsafeBytes { source in
        kernel.quantizeTile(
          task, rows: rows, source: source, importance: nil, into: tile, scratch: scratch)
      }
      guard case .success(let result) = outcome else { return nil }
      error += result.error
      weights.withUnsafeBufferPointer { weights in
        sums.add(weights, rows: rows, tile: UnsafeRawBufferPointer(tile), layout: layout)
      }
    }
    return (error, sums.levels(tensorScale: parameters.tensorScale))
  }
}

/// For each level, the sums whose ratio is its best value: Σ s·w and Σ s² over its weights.
private struct LevelSums {
  private var products = [Double](repeating: 0, count: 16)
  private var squares = [Double](repeating: 0, count: 16)

  mutating func add(
    _ weights: UnsafeBufferPointer<Float>, rows: Int, tile: UnsafeRawBufferPointer,
    layout: TileLayout
  ) {
    let size = layout.scheme.groupSize
    for row in 0..<rows {
      for group in 0..<layout.groupsPerRow {
        let scale = Double(
          HalfPrecision.float(fromS1E2M5: tile[group * TileLayout.tileRows + row]))
        for column in group * size..<(group + 1) * size {
          let (byte, isHigh) = layout.codePosition(row: row, column: column)
          let code = Int(isHigh ? tile[byte] >> 4 : tile[byte] & 15)
          products[code] += scale * Double(weights[row * layout.columns + column])
          squares[code] += scale * scale
        }
      }
    }
  }

  /// The best levels, stretched so that the outermost is ±127; nil unless they ascend strictly.
  func levels(tensorScale: Float) -> [Int8]? {
    var values: [Double] = []
    for code in 0..<16 {
      guard squares[code] > 0 else { return nil }
      values.append(products[code] / squares[code] / Double(tensorScale))
    }
    let reach = values.reduce(0) { max($0, abs($1)) }
    guard reach > 0 else { return nil }
    let levels = values.map { Int8(($0 * 127 / reach).rounded()) }
    return zip(levels, levels.dropFirst()).allSatisfy { $0 < $1 } ? levels : nil
  }
}
