/// What a reader of a pull request unfolds: replayed decisions, causes, splits, examples.
extension ParityReport {
  func replayTable(_ replay: ReplaySummary) -> String {
    func optional(_ value: Double?) -> String { value.map(Figure.number) ?? "–" }
    let table = Self.table(
      ["Replayed decision", "Taken", "Flipped", "Predicted", "Noise of p", "Median distance to τ"],
      replay.kinds.map { entry in
        let kind = entry.value
        return [
          ReplaySummary.readable(entry.name), Figure.grouped(kind.decisions),
          Figure.grouped(kind.flips), optional(kind.predictedFlips), optional(kind.noise),
          optional(kind.medianMargin),
        ]
      })
    let notes = [
      firstFlipSentence,
      causesSentence.map { "outputs that differ, by what flipped first: \($0)" },
    ].compactMap { $0 }
    return ([table, ""] + notes.map { "* \(Self.escaped($0))" }).joined(separator: "\n")
  }

  func attributionParts(_ attribution: Attribution) -> [String] {
    var parts: [String] = []
    if !attribution.parts.isEmpty {
      parts.append(
        Self.table(
          ["Drift by cause", "KL mean"],
          attribution.parts.map {
            [ReplaySummary.readable($0.name), Figure.number($0.divergence)]
          }))
    }
    let shown = attribution.tensors.filter { $0.isSuspect || $0.divergence != nil }
    if !shown.isEmpty {
      parts.append(
        Self.table(
          ["Costliest tensors", "Scheme", "Weight error", "KL alone", "Recipe rule"],
          shown.prefix(5).map { tensor in
            [
              tensor.name + (tensor.isSuspect ? " (damaged)" : ""), tensor.scheme,
              Figure.percent(tensor.weightError), tensor.divergence.map(Figure.number) ?? "–",
              tensor.recipeRule ?? "–",
            ]
          }))
    }
    if let worst = attribution.layers.max(by: { $0.relativeError < $1.relativeError }) {
      parts.append(
        "Largest relative error of a block's output: layer \(worst.index), "
          + "\(Figure.percent(worst.relativeError)).")
    }
    return parts
  }

  /// Where the divergence sits, folded.
  var splitDetails: String {
    let tables = DistributionSplit.Dimension.allCases.compactMap { dimension -> String? in
      let own = splits.filter { $0.dimension == dimension }
      guard !own.isEmpty else { return nil }
      let rows = own.flatMap { split in
        split.bins.map { bin in
          [
            split.head, "\(Figure.limit(bin.lower)) … \(Figure.limit(bin.upper))",
            Figure.grouped(bin.positions), Figure.number(bin.meanDivergence),
            Figure.percent(bin.topOneAgreement), Figure.number(bin.probabilityChange),
          ]
        }
      }
      return Self.table(
        ["Head", dimension.columnName, "Positions", "KL mean", "Top-1", "Δp correct"], rows)
    }
    return Self.folded("Divergence by mask ratio, place in the slot, position, confidence", tables)
  }

  /// The largest single differences, folded.
  var worstDetails: String {
    let table = Self.table(
      ["Where", "KL", "Text before", "Correct", "Reference", "Candidate"],
      worst.map { position in
        [
          "pair \(position.pair), token \(position.position), \(position.head)",
          Figure.number(position.divergence), "…" + String(position.context.suffix(40)),
          position.correct, position.referenceToken, position.candidateToken,
        ]
      })
    return Self.folded("Largest single differences", [table])
  }

  private static func folded(_ title: String, _ tables: [String]) -> String {
    (["<details><summary>\(title)</summary>"] + tables + ["</details>"])
      .joined(separator: "\n\n")
  }
}

extension DistributionSplit.Dimension {
  fileprivate var columnName: String {
    switch self {
    case .maskRatio: "Mask ratio"
    case .positionInSlot: "Place in slot"
    case .position: "Position"
    case .confidence: "Reference's confidence"
    }
  }
}
