import Foundation
import Parity

/// A report as a terminal shows it: verdict, reasons, the main figures.
struct VerdictText {
  private let report: ParityReport

  init(_ report: ParityReport) { self.report = report }

  var text: String {
    let sections = [
      [verdict] + report.headlines.map { "  " + Terminal.printable($0) },
      heads, likelihoods, decoding, attribution, [report.timeSentence],
    ]
    return sections.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") }
      .joined(separator: "\n\n")
  }

  private var heads: [String] {
    let rows = report.heads.map { entry in
      let head = entry.value
      let kl = head.divergence
      return [
        entry.name, Figure.grouped(head.positions), Figure.number(kl.mean),
        Figure.number(kl.median), Figure.number(kl.p99), Figure.number(kl.max),
        Figure.percent(head.topOneAgreement), Figure.percent(head.topFiveAgreement),
        Figure.number(head.lossDifference),
      ]
    }
    return Self.table(
      ["head", "positions", "KL mean", "median", "99 %", "max", "top-1", "top-5", "Δ NLL"], rows)
  }

  private var likelihoods: [String] {
    let rows = report.likelihood.map { entry in
      let value = entry.value
      let interval =
        if let low = value.increaseLower, let high = value.increaseUpper {
          "\(Figure.change(low)) … \(Figure.change(high))"
        } else { "too few pairs" }
      return [
        entry.name, String(format: "%.4f", value.referenceLoss),
        String(format: "%.4f", value.candidateLoss), Figure.number(value.difference),
        value.standardError.map { "± " + Figure.number($0) } ?? "",
        Figure.change(value.perplexityIncrease), interval,
      ]
    }
    return Self.table(
      ["likelihood", "reference", "candidate", "Δ NLL", "", "perplexity", "interval"], rows)
  }

  private var decoding: [String] {
    guard let decode = report.decode else { return [] }
    var lines = [
      "decoding: \(decode.exactOutputs) of \(decode.prompts) outputs identical, "
        + "\(decode.flippedDecisions) of \(decode.replayedDecisions) decisions flipped, "
        + String(
          format: "%.2f → %.2f tokens per forward", decode.referenceTokensPerForward,
          decode.candidateTokensPerForward)
    ]
    for entry in decode.replay?.kinds ?? NamedList() {
      let predicted = entry.value.predictedFlips.map { ", \(Figure.number($0)) predicted" } ?? ""
      lines.append(
        "  \(ReplaySummary.readable(entry.name)): \(entry.value.flips) of "
          + "\(entry.value.decisions) flipped\(predicted)")
    }
    if let flip = report.firstFlipSentence { lines.append("  " + Terminal.printable(flip)) }
    if let causes = report.causesSentence {
      lines.append("  outputs that differ, by what flipped first: " + causes)
    }
    lines += report.thresholdSentences.map { "  " + $0 }
    return lines
  }

  private var attribution: [String] {
    guard let attribution = report.attribution else { return [] }
    let parts = attribution.parts.map {
      "\(ReplaySummary.readable($0.name)) \(Figure.number($0.divergence))"
    }
    var lines = parts.isEmpty ? [] : ["drift by cause (mean KL): " + parts.joined(separator: ", ")]
    // Without forwards of their own, tensors are ordered by what was expected of them anyway.
    let shown = attribution.tensors.filter { $0.isSuspect || $0.divergence != nil }
    for tensor in shown.prefix(3) {
      let alone = tensor.divergence.map { ", KL alone \(Figure.number($0))" } ?? ""
      let mark = tensor.isSuspect ? "damaged" : "costliest"
      let rule = tensor.recipeRule.map { "; \(Terminal.printable($0))" } ?? ""
      lines.append(
        "\(mark): \(Terminal.printable(tensor.name)) (\(Terminal.printable(tensor.scheme)), "
          + "error \(Figure.number(tensor.weightError))\(alone))\(rule)")
    }
    return lines
  }

  /// Columns as wide as they need; the first to the left, the others to the right.
  private static func table(_ names: [String], _ rows: [[String]]) -> [String] {
    guard !rows.isEmpty else { return [] }
    let all = [names] + rows
    let widths = names.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { cells in
      zip(cells, widths).enumerated().map { index, cell in
        Format.padded(cell.0, cell.1, right: index > 0)
      }.joined(separator: "  ")
    }
  }

  private var verdict: String {
    switch report.verdict {
    case .pass: Terminal.styled("pass", .green)
    case .fail: Terminal.styled("fail", .red)
    case .undecided: Terminal.styled("not enough data", .yellow)
    }
  }
}
