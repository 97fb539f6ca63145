internal import Foundation

extension Page {
  /// Perplexity: intervals against the limit, and every pair as a point.
  var likelihood: Markup {
    guard !report.likelihood.isEmpty else { return .empty }
    return """
      <section><h2>Likelihood</h2>
      <p class="lead">The same responses, and the same masks, scored by both models.</p>
      \(likelihoodTable)
      <div class="plots">\(intervalPlot)\(scatterPlots.joined())</div></section>
      """
  }

  private var likelihoodTable: Markup {
    var table = Table([
      ("Metric", false), ("Pairs", false), ("NLL reference", false), ("NLL candidate", false),
      ("Difference", false), ("Standard error", false), ("Perplexity", false),
      ("Change", false), ("Interval", false),
    ])
    for entry in report.likelihood {
      let value = entry.value
      let isPerplexity = entry.name != "objective_masked"
      let interval =
        if let low = value.increaseLower, let high = value.increaseUpper {
          "\(Figure.change(low)) … \(Figure.change(high))"
        } else {
          "too few pairs"
        }
      table.row([
        "\(metricName(entry.name))", "\(value.pairs)", "\(Figure.decimals(value.referenceLoss))",
        "\(Figure.decimals(value.candidateLoss))", "\(Figure.number(value.difference))",
        "\(value.standardError.map(Figure.number) ?? "–")",
        isPerplexity
          ? "\(Figure.decimals(value.referencePerplexity)) → "
            + "\(Figure.decimals(value.candidatePerplexity))"
          : "–",
        isPerplexity ? "\(Figure.change(value.perplexityIncrease))" : "–",
        isPerplexity ? "\(interval)" : "–",
      ])
    }
    return table.markup
  }

  /// One whisker per metric, drawn as HTML-sized rows in a chart of its own.
  private var intervalPlot: Markup {
    // The objective's masked loss is a bound in other units; it stays in the table.
    let shown = report.likelihood.filter {
      $0.value.increaseLower != nil && $0.name != "objective_masked"
    }
    let limit = report.policy.maximumPerplexityIncrease
    guard !shown.isEmpty else { return .empty }
    var values: [Double] = [0]
    for entry in shown {
      values += [entry.value.increaseLower ?? 0, entry.value.increaseUpper ?? 0].map { $0 * 100 }
    }
    // A limit far away would squash the whiskers; beyond four times their reach it is not drawn.
    let reach = values.map(abs).max() ?? 0
    let drawnLimit = limit.map { $0 * 100 }.flatMap { reach == 0 || $0 <= 4 * reach ? $0 : nil }
    var plot = Plot(
      title: "Change of perplexity",
      x: .init(
        label: "percent", domain: Scale.domain(.linear, of: values + [drawnLimit ?? 0])),
      y: .init(label: "", domain: 0...Double(shown.count), ticks: []))
    plot.rule((0, 0), (0, Double(shown.count)))
    if let drawnLimit {
      plot.rule((drawnLimit, 0), (drawnLimit, Double(shown.count)), "limit")
    }
    for (row, entry) in shown.enumerated() {
      let height = Double(shown.count) - Double(row) - 0.62
      let low = (entry.value.increaseLower ?? 0) * 100
      let high = (entry.value.increaseUpper ?? 0) * 100
      plot.rule((low, height), (high, height), "whisker")
      plot.dot(
        entry.value.perplexityIncrease * 100, height, "candidate", radius: 4,
        "\(metricName(entry.name)): \(Figure.change(entry.value.perplexityIncrease))")
      plot.text(metricName(entry.name), atTopOf: height + 0.42)
    }
    let level = Figure.percent(shown.first?.value.confidence ?? report.policy.confidence)
    return plot.figure(
      "Estimate and \(level) interval over pairs."
        + (drawnLimit == nil ? "" : " The dashed red line is the limit."))
  }

  /// NLL per token, one point a pair, for the first causal and slot metrics.
  private var scatterPlots: [Markup] {
    let names = report.likelihood.map(\.name)
    let chosen =
      names.filter { $0 == "causal" }.prefix(1) + names.filter { $0.hasPrefix("slot_") }.prefix(1)
    return chosen.map { scatter($0) }
  }

  private func scatter(_ metric: String) -> Markup {
    let points = report.pairs.compactMap { pair in
      pair.likelihood[metric].map { total in
        (
          pair: pair.index, reference: total.reference / total.weight,
          candidate: total.candidate / total.weight
        )
      }
    }
    let domain = Scale.domain(.linear, of: points.flatMap { [$0.reference, $0.candidate] })
    var plot = Plot(
      title: "NLL per token, \(metricName(metric))",
      x: .init(label: "reference (nats)", domain: domain),
      y: .init(label: "candidate (nats)", domain: domain))
    plot.rule((domain.lowerBound, domain.lowerBound), (domain.upperBound, domain.upperBound))
    // Thousands of points are a cloud already; more only make the file heavy.
    let step = max(1, points.count / 1500)
    for point in points.enumerated().filter({ $0.offset.isMultiple(of: step) }).map(\.element) {
      plot.dot(
        point.reference, point.candidate, "candidate light", radius: 3.2,
        "pair \(point.pair): \(Figure.number(point.reference)) → \(Figure.number(point.candidate))")
    }
    return plot.figure("Each point is a pair; on the diagonal both models find it equally likely.")
  }
}
