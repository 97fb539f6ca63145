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
  let importance: [Float]?
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

  /// Nil when the scale of the largest weight is not a finite f32.
  func parameters(for survey: TensorSurvey) -> TensorParameters? {
    let codebook = Self.gaussian(groupSize: layout.scheme.groupSize)
    // Below this the reciprocal of the scale is not finite; such weights are as good as zero.
    guard survey.largest > 0x1p-90 else { return TensorParameters(codebook: codebook) }
    let scale = survey.largest / (Self.outermostLevel * Self.largestGroupScale)
    guard scale.isFinite else { return nil }
    return TensorParameters(codebook: codebook, tensorScale: scale)
  }
}
