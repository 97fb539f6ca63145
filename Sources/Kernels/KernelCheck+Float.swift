extension KernelCheck {
  /// Whether products with f32 activations are within the error that f32 sums may have.
  ///
  /// Their rounding is free, so they are held to the bound |error| ≤ 2·n·u·Σ|w·x| for sums of n
  /// terms in any order (Higham 2002, §3.1; u = 2⁻²⁴, and one rounding of the weight itself).
  package static func verifyFloat(
    _ matrix: WeightMatrix, tokens: Int, kernels: KernelTable = .selected, pool: ThreadPool
  ) -> Bool {
    let columns = matrix.columns
    let input = activations(tokens * columns)
    let found = product(matrix, input, tokens, kernels, pool, .dequantized)
    var weights = [Float](repeating: 0, count: columns)
    let unit = 2 * Double(columns) * 0x1p-24
    for row in Set(0..<min(16, matrix.rows)).union(max(0, matrix.rows - 16)..<matrix.rows) {
      matrix.row(row, into: &weights)
      for token in Set([0, tokens / 2, tokens - 1]) {
        var sum = 0.0
        var size = 0.0
        for column in 0..<columns {
          let term = Double(weights[column]) * Double(input[token * columns + column])
          sum += term
          size += abs(term)
        }
        let error = abs(Double(found[token * matrix.rows + row]) - sum)
        // Written so that NaN fails.
        guard error <= unit * size else { return false }
      }
    }
    return true
  }
}
