import Foundation
import Parity

/// A report as a terminal shows it: verdict, reasons, the main figures.
struct VerdictText {
  private let report: ParityReport

  init(_ report: ParityReport) { self.report = report }

  var text: String {
    var lines = [verdict]
    lines += report.reasons.map { "  " + Terminal.printable($0) }
    lines.append("")
    lines.append("head             positions   mean KL     99 %      max   top-1    Δ NLL")
    for entry in report.heads {
      let head = entry.value
      lines.append(
        Format.padded(entry.name, 16)
          + String(
            format: "%10d %9.2e %8.3f %8.3f %6.2f%% %+8.4f", head.positions, head.divergence.mean,
            head.divergence.p99, head.divergence.max, head.topOneAgreement * 100,
            head.lossDifference))
    }
    lines.append("")
    for entry in report.likelihood {
      let value = entry.value
      let error = value.standardError.map { String(format: " ± %.4f", $0) } ?? ""
      lines.append(
        Format.padded(entry.name, 26)
          + String(
            format: "nll %.4f → %.4f, difference %+.4f", value.referenceLoss, value.candidateLoss,
            value.difference) + error)
    }
    if let decode = report.decode {
      lines.append("")
      lines.append(
        "decoding: \(decode.exactOutputs) of \(decode.prompts) outputs identical, "
          + "\(decode.flippedDecisions) of \(decode.replayedDecisions) decisions flipped, "
          + String(
            format: "%.2f → %.2f tokens per forward", decode.referenceTokensPerForward,
            decode.candidateTokensPerForward))
    }
    for tensor in report.attribution?.tensors.prefix(3) ?? [] {
      let alone = tensor.divergence.map { String(format: ", KL alone %.2e", $0) } ?? ""
      lines.append(
        "costliest: \(Terminal.printable(tensor.name)) (\(tensor.scheme), "
          + String(format: "error %.4f", tensor.weightError) + alone + ")")
    }
    return lines.joined(separator: "\n")
  }

  private var verdict: String {
    switch report.verdict {
    case .pass: Terminal.styled("pass", .green)
    case .fail: Terminal.styled("fail", .red)
    case .undecided: Terminal.styled("not enough data", .yellow)
    }
  }
}
