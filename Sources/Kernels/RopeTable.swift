import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Cosines and sines of rotary position embedding (Su et al. 2021), computed when first needed.
///
/// As Hugging Face does it in f32: frequency i = 1 / θ^(2i/d), angle = position × frequency, both
/// rounded to f32; cosine and sine are those of the rounded angle, from IEEE operations only, so
/// the table is the same on every machine.
package final class RopeTable: Sendable {
  package let headDimension: Int
  private let frequencies: [Float]
  private let storage = Mutex(Rows())

  private struct Rows: ~Copyable {
    var memory = AlignedMemory()
    var positions = 0
  }

  package init(theta: Double, headDimension: Int) {
    precondition(headDimension > 0 && headDimension % 2 == 0)
    self.headDimension = headDimension
    frequencies = (0..<headDimension / 2).map { index in
      let exponent = Float(2 * index) / Float(headDimension)
      return 1 / Float(pow(theta, Double(exponent)))
    }
  }

  /// Calls `body` with rows of `headDimension` numbers, one a position: cosines, then sines.
  ///
  /// - Parameter positions: none negative; the table covers them all during the call.
  package func withRows(covering positions: [Int32], _ body: (UnsafePointer<Float>) -> Void) {
    precondition(positions.allSatisfy { $0 >= 0 }, "a position is negative")
    let needed = Int(positions.max() ?? 0) + 1
    storage.withLock { rows in
      if rows.positions < needed { grow(&rows, to: max(needed, 2 * rows.positions, 256)) }
      body(UnsafePointer(rows.memory.base.assumingMemoryBound(to: Float.self)))
    }
  }

  private func grow(_ rows: inout Rows, to positions: Int) {
    let half = headDimension / 2
    let table = rows.memory.reserve(positions * headDimension * MemoryLayout<Float>.size)
      .assumingMemoryBound(to: Float.self)
    for position in 0..<positions {
      let row = table + position * headDimension
      for index in 0..<half {
        let angle = Float(position) * frequencies[index]
        (row[index], row[half + index]) = Self.cosineAndSine(Double(angle))
      }
    }
    rows.positions = positions
  }

  /// Correct to f32 rounding for |angle| < 2²⁰: Cody–Waite reduction by π/2 in three parts, then
  /// the f64 polynomials of fdlibm's `__kernel_sin` and `__kernel_cos`.
  static func cosineAndSine(_ angle: Double) -> (Float, Float) {
    let turns = (angle * 0.6366197723675814).rounded(.toNearestOrEven)
    // π/2 = high + middle + low; the first two have 33 bits, so their products are exact.
    var rest = angle - turns * 1.57079632673412561417e+00
    rest -= turns * 6.07710050630396597660e-11
    rest -= turns * 2.02226624879595063154e-21
    let z = rest * rest
    let sineTail =
      -1.66666666666666324348e-01
      + z
      * (8.33333333332248946124e-03
        + z
        * (-1.98412698298579493134e-04
          + z
          * (2.75573137070700676789e-06
            + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))))
    let cosineTail =
      4.16666666666666019037e-02
      + z
      * (-1.38888888888741095749e-03
        + z
        * (2.48015872894767294178e-05
          + z
          * (-2.75573143513906633035e-07
            + z * (2.08757232129817482790e-09 - z * 1.13596475577881948265e-11))))
    let sine = rest + rest * z * sineTail
    let cosine = 1 - 0.5 * z + z * z * cosineTail
    switch Int(turns) & 3 {
    case 0: return (Float(cosine), Float(sine))
    case 1: return (Float(-sine), Float(cosine))
    case 2: return (Float(-cosine), Float(-sine))
    default: return (Float(sine), Float(-cosine))
    }
  }
}
