/// The report as one HTML file that needs nothing else: no network, no script, no font.
///
/// The content security policy forbids every load, so that even a slip in escaping could not fetch
/// or run anything.
struct Page {
  let report: ParityReport

  var markup: Markup {
    let title = "\(report.verdict.title): \(report.inputs.candidate.path)"
    let sections = [
      summary, checks, likelihood, distribution, decoding, attribution, worst, evidence,
    ]
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width,initial-scale=1">
      <meta http-equiv="Content-Security-Policy" \
      content="default-src 'none'; style-src 'unsafe-inline'">
      <meta name="color-scheme" content="light dark">
      <title>\(title)</title><style>
      \(Self.style)
      </style></head><body><main>
      \(sections.joined("\n"))
      </main></body></html>

      """
  }
}

extension ParityReport {
  /// The report as one self-contained HTML file.
  package var html: String { Page(report: self).markup.source }
}

extension ParityVerdict {
  var title: String {
    switch self {
    case .pass: "Pass"
    case .fail: "Fail"
    case .undecided: "Not enough data"
    }
  }

  /// A check mark, a cross or a horizontal bar, in the colour of the text.
  fileprivate var symbol: Markup {
    let path: Markup =
      switch self {
      case .pass: "M5 12.5l4.5 4.5L19 7"
      case .fail: "M6 6l12 12M18 6L6 18"
      case .undecided: "M5 12h14"
      }
    return """
      <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="3.2" \
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="\(path)"/></svg>
      """
  }

  var chip: Markup { "<span class=\"chip \(rawValue)\">\(rawValue)</span>" }
}

// MARK: Verdict and key figures

extension Page {
  var summary: Markup {
    let headlines = report.headlines
    let reasons = headlines.prefix(6).map { reason -> Markup in "<li>\(reason)</li>" }
    let more = headlines.count - 6
    return """
      <p class="eyebrow">Ingot parity report</p>
      <div class="verdict \(report.verdict.rawValue)">
      <h1>\(report.verdict.symbol)\(report.verdict.title)</h1>
      <ul class="reasons">\(reasons.joined())\
      \(Markup.when(more > 0, "<li>… and \(more) more, below.</li>"))</ul>
      <div class="models">\(model("reference", report.inputs.reference))\
      <span class="arrow" aria-hidden="true">→</span>\
      \(model("candidate", report.inputs.candidate))</div></div>
      <div class="tiles">\(tiles.joined())</div>
      """
  }

  private func model(_ role: String, _ model: ParityInputs.Model) -> Markup {
    var facts = [model.types.joined(separator: ", "), Figure.bytes(model.bytes)]
    if let bits = model.bitsPerWeight { facts.append("\(Figure.number(bits)) bits per weight") }
    return """
      <div class="model"><span class="role \(role)">\(role)</span><b>\(model.path)</b>\
      <span>\(facts.filter { !$0.isEmpty }.joined(separator: " · "))</span></div>
      """
  }

  private var tiles: [Markup] {
    var all: [Markup] = []
    func tile(_ name: String, _ value: String, _ note: String) {
      all.append(
        "<div class=\"tile\"><span>\(name)</span><b>\(value)</b><span>\(note)</span></div>")
    }
    if let worst = report.heads.max(by: { $0.value.divergence.mean < $1.value.divergence.mean }) {
      tile("Mean KL", Figure.number(worst.value.divergence.mean), "nats, \(worst.name) head")
    }
    if let least = report.heads.min(by: {
      $0.value.topOneAgreement < $1.value.topOneAgreement
    }) {
      tile("Top-1 agreement", Figure.percent(least.value.topOneAgreement), "\(least.name) head")
    }
    if let causal = report.likelihood.first(where: { $0.name.hasPrefix("slot_") })
      ?? report.likelihood.first
    {
      tile(
        "Perplexity", Figure.change(causal.value.perplexityIncrease),
        "\(metricName(causal.name)), \(Figure.decimals(causal.value.referencePerplexity)) → "
          + Figure.decimals(causal.value.candidatePerplexity))
    }
    if let decode = report.decode {
      tile("Identical outputs", "\(decode.exactOutputs)", "of \(decode.prompts) decoded")
      tile(
        "Tokens per forward", Figure.number(decode.candidateTokensPerForward),
        "reference \(Figure.number(decode.referenceTokensPerForward))")
      tile(
        "Flipped decisions", "\(decode.flippedDecisions)",
        "of \(Figure.grouped(decode.replayedDecisions)) replayed")
    }
    return all
  }

  /// `slot, k = 8` for `slot_k8`.
  func metricName(_ key: String) -> String {
    if key.hasPrefix("slot_k") { return "slot, k = \(key.dropFirst(6))" }
    return key.split(separator: "_").joined(separator: ", ")
  }
}
