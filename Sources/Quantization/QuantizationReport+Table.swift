extension QuantizationReport {
  /// The report for a terminal: the worst `limit` tensors, largest relative error first, and a
  /// line of totals.
  package func table(limit: Int = 20) -> String {
    let worst = worstFirst
    let header = ["tensor", "scheme", "bits", "rel. error", "cosine", "max error", "notes"]
    let rows = worst.prefix(limit).map { entry in
      [
        entry.plan.name, entry.plan.schemeName, Self.decimal(entry.plan.bitsPerWeight, places: 3),
        Self.decimal(entry.error.relativeError, places: 5),
        Self.decimal(entry.error.cosine, places: 6),
        Self.decimal(entry.error.maximumError, places: 5), Self.notes(entry.error),
      ]
    }
    var lines = Self.aligned([header] + rows)
    if worst.count > limit { lines.append("… and \(worst.count - limit) more with less error") }
    let kept = entries.count - worst.count
    lines.append(
      "\(worst.count) tensors quantized, \(kept) kept, "
        + "\(Self.decimal(bitsPerWeight, places: 3)) bits per weight")
    return lines.joined(separator: "\n") + "\n"
  }

  /// What is unusual about a tensor.
  private static func notes(_ error: TensorError) -> String {
    let counts = [
      ("dead row", error.deadRows), ("constant row", error.constantRows),
      ("outlier group", error.outlierGroups), ("vanished group", error.vanishedGroups),
    ]
    return counts.filter { $0.1 > 0 }
      .map { "\($0.1) \($0.0)\($0.1 == 1 ? "" : "s")" }.joined(separator: ", ")
  }

  /// Columns padded to equal width; the numbers in the middle to the right.
  private static func aligned(_ rows: [[String]]) -> [String] {
    let widths = (0..<7).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return (2...5).contains(column) ? padding + row[column] : row[column] + padding
      }
      var line = cells.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }

  /// A number ≥ 0 rounded to `places` decimals; `Foundation` is not needed for that.
  static func decimal(_ value: Double, places: Int) -> String {
    guard value.isFinite, value < 1e12 else { return String(value) }
    var unit = 1.0
    for _ in 0..<places { unit *= 10 }
    let digits = String(Int((value * unit).rounded()))
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    return padded.dropLast(places) + "." + padded.suffix(places)
  }
}
