internal import Foundation

extension Page {
  /// KL and agreement by head, and where the divergence sits.
  var distribution: Markup {
    guard !report.heads.isEmpty else { return .empty }
    let plots = [
      histogram, split(.confidence), split(.position), split(.positionInSlot), split(.maskRatio),
    ]
    return """
      <section><h2>Distributions</h2>
      <p class="lead">Both models' predictions at every scored position, head by head.</p>
      \(headTable)<div class="plots">\(plots.joined())</div></section>
      """
  }

  private var headTable: Markup {
    var table = Table([
      ("Head", false), ("Positions", false), ("KL mean", false), ("median", false),
      ("90 %", false), ("99 %", false), ("99.9 %", false), ("max", false), ("Top-1", false),
      ("Top-5", false), ("Δp correct", false), ("Δ NLL", false),
    ])
    for entry in report.heads {
      let kl = entry.value.divergence
      let figures = [kl.mean, kl.median, kl.p90, kl.p99, kl.p999, kl.max].map { value -> Markup in
        "\(Figure.number(value))"
      }
      table.row(
        ["\(entry.name)", "\(Figure.grouped(entry.value.positions))"] + figures + [
          "\(Figure.percent(entry.value.topOneAgreement))",
          "\(Figure.percent(entry.value.topFiveAgreement))",
          "± \(Figure.number(entry.value.probabilityChangeRMS))",
          "\(Figure.number(entry.value.lossDifference))",
        ])
    }
    return table.markup
  }

  private var legend: [(String, String)] { report.heads.map { ($0.name, $0.name) } }

  /// Share of positions per half decade of KL, one line a head.
  private var histogram: Markup {
    let exponents = DivergenceHistogram.exponents
    let shares = report.histograms.filter { entry in
      entry.value.counts.count == exponents.count && entry.value.counts.contains { $0 > 0 }
    }.map { entry in
      let total = entry.value.counts.reduce(0.0) { $0 + Double($1) }
      return (name: entry.name, values: entry.value.counts.map { Double($0) / total * 100 })
    }
    guard !shares.isEmpty else { return .empty }
    let used = shares.flatMap { entry in entry.values.indices.filter { entry.values[$0] > 0 } }
    let first = max(0, (used.min() ?? 0) - 1)
    let last = min(exponents.count - 1, (used.max() ?? 0) + 1)
    let peak = shares.flatMap(\.values).max() ?? 1
    var plot = Plot(
      title: "How large the divergence is",
      x: .init(
        label: "KL (nats)", kind: .logarithmic,
        domain: pow(10, exponents[first])...pow(10, exponents[last] + 0.5)),
      y: .init(label: "% of positions", domain: 0...(peak * 1.08)))
    for entry in shares {
      let points = (first...last).map { (pow(10, exponents[$0] + 0.25), entry.values[$0]) }
      plot.line(points, entry.name)
      for (index, point) in zip(first..., points) where entry.values[index] > 0 {
        plot.dot(
          point.0, point.1, entry.name, radius: 2.6,
          "\(entry.name): \(Figure.number(point.1)) % around \(Figure.number(point.0))")
      }
    }
    return plot.figure(
      "Share of positions per half decade; the leftmost point also holds everything smaller.",
      legend: legend)
  }

  /// Mean KL over ranges of one property, one line a head.
  private func split(_ dimension: DistributionSplit.Dimension) -> Markup {
    let lines = report.splits.filter { $0.dimension == dimension && $0.bins.count > 1 }
    guard !lines.isEmpty else { return .empty }
    let values = lines.flatMap { $0.bins.map(\.meanDivergence) }
    // Without any divergence a logarithmic axis has nothing to show.
    let kind: Scale.Kind = values.contains { $0 > 0 } ? .logarithmic : .linear
    let edges = Set(lines.flatMap { $0.bins.map(\.lower) }).sorted()
    func place(_ bin: DistributionSplit.Bin) -> Double {
      Double(edges.firstIndex(of: bin.lower) ?? 0) + 0.5
    }
    let every = max(1, (edges.count + 6) / 7)
    let labels = edges.enumerated().filter { $0.offset.isMultiple(of: every) }.map {
      (Double($0.offset) + 0.5, dimension.label($0.element))
    }
    var plot = Plot(
      title: dimension.title,
      x: .init(label: dimension.axis, domain: 0...Double(edges.count), ticks: labels),
      y: .init(
        label: "mean KL (nats)", kind: kind,
        domain: kind == .linear ? 0...1 : Scale.domain(kind, of: values)))
    for line in lines {
      plot.line(line.bins.map { (place($0), $0.meanDivergence) }, line.head)
      for bin in line.bins {
        plot.dot(
          place(bin), bin.meanDivergence, line.head, radius: 3,
          "\(line.head), from \(dimension.label(bin.lower)): KL \(Figure.number(bin.meanDivergence)), "
            + "top-1 \(Figure.percent(bin.topOneAgreement)), "
            + Figure.count(bin.positions, "position"))
      }
    }
    return plot.figure(
      dimension.caption, legend: legend.filter { name, _ in lines.contains { $0.head == name } })
  }
}

extension DistributionSplit.Dimension {
  fileprivate var title: String {
    switch self {
    case .confidence: "Divergence by confidence"
    case .position: "Divergence by position"
    case .positionInSlot: "Divergence by place in the slot"
    case .maskRatio: "Divergence by mask ratio"
    }
  }

  fileprivate var axis: String {
    switch self {
    case .confidence: "reference's largest probability, from"
    case .position: "token of the response, from"
    case .positionInSlot: "token of the slot, from"
    case .maskRatio: "share of slots masked, from"
    }
  }

  fileprivate var caption: String {
    switch self {
    case .confidence: "Divergence where the reference is sure changes answers; elsewhere, wording."
    case .position: "A rise to the right would mean that errors build up along the response."
    case .positionInSlot:
      "Token 0 of a slot is read from its MASK, the others from the token before."
    case .maskRatio: "How the masked head holds up as less of the response is visible."
    }
  }

  fileprivate func label(_ value: Double) -> String {
    value == value.rounded() && value < 1e6 ? String(Int(value)) : value.description
  }
}
