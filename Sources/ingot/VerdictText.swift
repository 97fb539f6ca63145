import Foundation
import Parity

/// The verdict as a person reads it on the terminal: yes or no first, then why.
struct VerdictText {
  private let report: ParityReport

  init(_ report: ParityReport) { self.report = report }

  var text: String {
    var lines = [headline]
    lines += report.reasons.map { "  " + Terminal.printable($0) }
    lines += ["", "head             positions   KL mean      p99       top-1    NLL change ± SE"]
    lines += report.heads.map { row($0.name, $0.value) }
    if let decode = report.decode {
      lines.append("")
      lines.append(
        "decoding: \(decode.exactOutputs) of \(decode.prompts) outputs equal, "
          + "\(decode.flippedDecisions) of \(decode.replayedDecisions) replayed decisions flip, "
          + String(
            format: "tokens per forward %.2f → %.2f", decode.referenceTokensPerForward,
            decode.candidateTokensPerForward))
    }
    return lines.joined(separator: "\n")
  }

  private var headline: String {
    switch report.verdict {
    case .pass: Terminal.styled("PASS", .green)
    case .fail: Terminal.styled("FAIL", .red)
    case .undecided: Terminal.styled("UNDECIDED", .yellow)
    }
  }

  private func row(_ name: String, _ head: HeadSummary) -> String {
    Format.padded(name, 16) + Format.padded("\(head.positions)", 10, right: true)
      + String(
        format: "  %.3e  %.2e  %6.2f%%  %+.5f", head.divergence.mean, head.divergence.p99,
        head.topOneAgreement * 100, head.lossDifference)
      + (head.lossStandardError.map { String(format: " ± %.5f", $0) } ?? "")
  }
}
