internal import Foundation
internal import Kernels
internal import Tensors

/// How far a candidate's weights are from the reference's, against what their storage explains.
///
/// Rounding to steps of s leaves an error of s/√12 per weight. The largest ratio of a group's error
/// to that tells damage from rounding: one wrong scale among thousands does not move the tensor's
/// error, but its own group stands out.
struct TensorDrift {
  /// ‖candidate − reference‖ ÷ ‖reference‖.
  private(set) var relativeError = 0.0
  /// The same ratio, as rounding explains it.
  private(set) var expectedError = 0.0
  /// The largest error of a group ÷ what rounding explains for it.
  private(set) var worstRatio = 0.0
  private(set) var worstRow = 0
  private(set) var worstColumn = 0

  /// Sums over some rows.
  private struct Sums {
    var error = 0.0
    var reference = 0.0
    var expected = 0.0
    var worst = 0.0
    var row = 0
    var column = 0

    mutating func add(_ other: Sums) {
      error += other.error
      reference += other.reference
      expected += other.expected
      if other.worst > worst {
        worst = other.worst
        row = other.row
        column = other.column
      }
    }
  }

  private static let rowsPerPart = 32

  /// - Parameters:
  ///   - rows: number of rows.
  ///   - columns: numbers in a row.
  ///   - read: writes one row of the reference and of the candidate; called on any thread.
  init(
    rows: Int, columns: Int, rounding: WeightRounding, pool: ThreadPool,
    read: (_ row: Int, _ reference: UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) ->
      Void
  ) {
    let parts = (rows + Self.rowsPerPart - 1) / Self.rowsPerPart
    let partial = [Sums](unsafeUninitializedCapacity: parts) { results, count in
      guard let base = results.baseAddress else { return }
      pool.run(count: parts) { part in
        var sums = Sums()
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * columns) { scratch in
          guard let reference = scratch.baseAddress else { return }
          let candidate = reference + columns
          for row in (part * Self.rowsPerPart)..<min(rows, (part + 1) * Self.rowsPerPart) {
            read(row, reference, candidate)
            Self.add(row, reference, candidate, columns, rounding, &sums)
          }
        }
        // Safe: every part is written once, by one thread, before `run` returns.
        (base + part).initialize(to: sums)
      }
      count = parts
    }
    var total = Sums()
    for sums in partial { total.add(sums) }
    let norm = max(total.reference, .leastNormalMagnitude)
    relativeError = (total.error / norm).squareRoot()
    expectedError = (total.expected / norm).squareRoot()
    worstRatio = total.worst
    worstRow = total.row
    worstColumn = total.column
  }

  private static func add(
    _ row: Int, _ reference: UnsafePointer<Float>, _ candidate: UnsafePointer<Float>,
    _ columns: Int, _ rounding: WeightRounding, _ sums: inout Sums
  ) {
    for start in stride(from: 0, to: columns, by: rounding.group) {
      let range = start..<min(columns, start + rounding.group)
      var error = 0.0
      var norm = 0.0
      var low = 0.0
      var high = 0.0
      for column in range {
        let value = Double(reference[column])
        let difference = Double(candidate[column]) - value
        error += difference * difference
        norm += value * value
        low = min(low, value)
        high = max(high, value)
      }
      let expected = rounding.squaredError(
        count: range.count, low: low, high: high, squares: norm)
      sums.error += error
      sums.reference += norm
      sums.expected += expected
      // Written so that NaN counts as damage.
      let ratio = error == 0 ? 0 : error <= .infinity ? (error / expected).squareRoot() : .infinity
      if ratio > sums.worst {
        sums.worst = ratio
        sums.row = row
        sums.column = start
      }
    }
  }
}

/// What storing weights in a type or scheme does to them.
enum WeightRounding {
  /// The same type as the reference's: nothing.
  case none
  /// A floating-point type with this relative error at most.
  case relative(Double)
  /// A quantization scheme, with what multiplies the whole tensor.
  case scheme(QuantizationScheme, tensorScale: Double)

  /// Columns looked at together: those that share a scale.
  var group: Int {
    if case .scheme(let scheme, _) = self { scheme.groupSize } else { 128 }
  }

  /// Σ of the squared errors that rounding explains for some weights.
  func squaredError(count: Int, low: Double, high: Double, squares: Double) -> Double {
    switch self {
    case .none: return 0
    // Relative errors are uniform up to the bound; the constant covers f16's subnormals.
    case .relative(let bound):
      return squares * bound * bound / 3 + Double(count) * 1e-15
    case .scheme(let scheme, let tensorScale):
      let peak = max(high, -low)
      let step =
        switch scheme.kind {
        case .int8: peak / 127
        case .int6: peak / 31.5
        // A codebook fits the weights better than even steps; this is its upper bound.
        case .int4, .cb4: peak / 7.5
        case .int4z: (high - low) / 15
        }
      let coarseness = scheme.scaleCoarseness * tensorScale
      return Double(count) * (step * step / 12 + coarseness * coarseness / 3)
    }
  }

  init(reference: WeightMatrix, candidate: WeightMatrix) {
    switch (reference.storage, candidate.storage) {
    case (.tiled(let a), .tiled(let b)) where a.scheme == b.scheme: self = .none
    case (_, .tiled(let layout)):
      self = .scheme(
        layout.scheme, tensorScale: Double(layout.tensorScale(candidate.bytes)))
    case (.dense(let a), .dense(let b)) where a == b: self = .none
    case (_, .dense(let type)): self = .relative(type.roundingError)
    }
  }
}

extension QuantizationScheme {
  /// How far the coarsest rounding of a group's scale moves a weight, before `tensorScale`: groups
  /// far below the others of their tensor have no scale as fine as themselves. Half the smallest
  /// step of a scale (2⁻²⁴ in fp16, 2⁻¹⁹ in `cb4`) times the largest code.
  fileprivate var scaleCoarseness: Double {
    switch kind {
    case .int8: 127 * 0x1p-25
    case .int6: 32 * 0x1p-25
    case .int4: 8 * 0x1p-25
    case .int4z: 15 * 0x1p-25
    case .cb4: 127 * 0x1p-20
    }
  }
}

extension ElementType {
  /// Half a unit in the last place, relative.
  fileprivate var roundingError: Double {
    switch self {
    case .bfloat16: 0x1p-8
    case .float16: 0x1p-11
    default: 0x1p-24
    }
  }
}

extension WeightMatrix.Storage {
  /// `bf16`, `cb4-g16`.
  var name: String {
    switch self {
    case .dense(let type): type.name
    case .tiled(let layout): layout.scheme.name
    }
  }
}
