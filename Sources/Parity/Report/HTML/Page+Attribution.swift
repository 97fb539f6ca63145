extension Page {
  /// Where the drift comes from, when attribution ran.
  var attribution: Markup {
    guard let attribution = report.attribution,
      !(attribution.parts.isEmpty && attribution.layers.isEmpty && attribution.tensors.isEmpty)
    else { return .empty }
    let lead =
      attribution.parts.isEmpty
      ? "Weights against the reference's, tensor by tensor, and the error that their scheme "
        + "explains. Run with --attribute for the divergence that each of them causes."
      : "Mean KL that each step adds: rounded weights, then rounded activations, then a rounded "
        + "cache. “KL alone” is that of the reference with one tensor exchanged for the "
        + "candidate's."
    return """
      <section><h2>Attribution</h2>
      <p class="lead">\(lead)</p>
      \(parts(attribution.parts))
      \(tensorTable(attribution.tensors))
      <div class="plots">\(layerPlot(attribution.layers))</div></section>
      """
  }

  private func parts(_ parts: [Attribution.Part]) -> Markup {
    guard !parts.isEmpty else { return .empty }
    let largest = max(parts.map(\.divergence).max() ?? 0, 1e-300)
    let rows = parts.map { part -> Markup in
      let share = min(max(part.divergence / largest, 0), 1) * 100
      return """
        <span>\(part.name.split(separator: "_").joined(separator: " "))</span>\
        <div class="track"><div class="fill" style="width:\(share)%"></div></div>\
        <span>\(Figure.number(part.divergence)) nats</span>
        """
    }
    return "<div class=\"bars\">\(rows.joined())</div>"
  }

  private func tensorTable(_ tensors: [Attribution.Tensor]) -> Markup {
    guard !tensors.isEmpty else { return .empty }
    var table = Table([
      ("Tensor", true), ("Scheme", false), ("Weight error", false), ("Expected", false),
      ("KL alone", false), ("Recipe rule that raises it", true),
    ])
    let shown = tensors.filter { $0.weightError != 0 || $0.isSuspect }
    guard !shown.isEmpty else { return "<p>Every weight is the reference's.</p>" }
    for tensor in shown.prefix(16) {
      table.row([
        "<code>\(breakable(tensor.name))</code>\(Markup.when(tensor.isSuspect, " <span class=\"chip fail\">damaged</span>"))",
        "\(tensor.scheme)", "\(Figure.number(tensor.weightError))",
        "\(Figure.number(tensor.expectedError))",
        "\(tensor.divergence.map(Figure.number) ?? "–")",
        Markup.when(tensor.recipeRule != nil, "<code>\(tensor.recipeRule ?? "")</code>"),
      ])
    }
    return table.markup
  }

  /// A tensor's name that breaks behind its dots.
  private func breakable(_ name: String) -> Markup {
    name.split(separator: ".", omittingEmptySubsequences: false).map { part -> Markup in
      "\(String(part))"
    }.joined(".<wbr>")
  }

  private func layerPlot(_ layers: [Attribution.Layer]) -> Markup {
    guard !layers.isEmpty else { return .empty }
    let top = layers.map(\.relativeError).filter(\.isFinite).max() ?? 0
    var plot = Plot(
      title: "Error layer by layer",
      x: .init(label: "layer", domain: -0.5...(Double(layers.count) - 0.5)),
      y: .init(label: "relative error of the output", domain: 0...max(top * 1.1, 1e-9)))
    for (place, layer) in layers.enumerated() {
      plot.bar(
        from: Double(place) - 0.5, to: Double(place) + 0.5, height: layer.relativeError,
        "candidate", "layer \(layer.index): \(Figure.percent(layer.relativeError))")
    }
    return plot.figure(
      "‖candidate − reference‖ ÷ ‖reference‖ of each block's output. A step names the layer to blame."
    )
  }

  /// Single positions where the models differ most, with the text before them.
  var worst: Markup {
    guard !report.worst.isEmpty else { return .empty }
    var table = Table([
      ("Where", false), ("KL", false), ("Text before", true), ("Correct", true),
      ("Reference says", true), ("Candidate says", true), ("p(correct)", false),
    ])
    for position in report.worst {
      table.row([
        "pair \(position.pair), token \(position.position)<br>\(position.head)",
        "\(Figure.number(position.divergence))", "…\(String(position.context.suffix(80)))",
        token(position.correct), token(position.referenceToken), token(position.candidateToken),
        "\(Figure.percent(position.referenceProbability)) → "
          + "\(Figure.percent(position.candidateProbability))",
      ])
    }
    return """
      <section><h2>Largest single differences</h2>
      <p class="lead">The positions where the candidate's prediction moved furthest.</p>
      \(table.markup)</section>
      """
  }

  /// A token's text with blanks and line ends visible.
  private func token(_ text: String) -> Markup {
    let visible = String(text.prefix(40)).map { character -> String in
      switch character {
      case " ": "␣"
      case "\n", "\r\n": "⏎"
      case "\t": "⇥"
      default: String(character)
      }
    }
    return "<span class=\"tok\">\(visible.joined())</span>"
  }
}
