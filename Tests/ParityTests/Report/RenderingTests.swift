import Foundation
import Parity
import Testing

@Suite struct RenderingTests {
  private func report(
    noise: Float, _ candidate: ParityPolicy.CandidateClass = .fourBit, pairs: Int = 24,
    change: (inout ParityEvidence) -> Void = { _ in }
  ) -> ParityReport {
    var synthetic = SyntheticEvidence(noise: noise, pairs: pairs)
    var evidence = synthetic.evidence()
    change(&evidence)
    return ParityReport(evidence: evidence, policy: .defaults(for: candidate))
  }

  /// Writes samples to look at: `INGOT_REPORT_SAMPLES=/tmp/x swift test --filter samples`.
  @Test(
    .enabled(if: ProcessInfo.processInfo.environment["INGOT_REPORT_SAMPLES"] != nil),
    arguments: [
      ("pass", 0.0, ParityPolicy.CandidateClass.fourBit), ("fail", 0.25, .fourBit),
      ("undecided", 0.13, .fourBit),
    ])
  func samples(name: String, noise: Double, candidate: ParityPolicy.CandidateClass) throws {
    let folder = try #require(ProcessInfo.processInfo.environment["INGOT_REPORT_SAMPLES"])
    let report = report(noise: Float(noise), candidate, pairs: 64)
    try Data(report.html.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name).html"))
    let json = try ParityDocument.report(report).json()
    try Data(json).write(to: URL(fileURLWithPath: "\(folder)/\(name).json"))
  }
}

@Suite struct EscapingTests {
  private static let hostile = "<script>alert(1)</script>\"'&\u{202E}|`[x](http://evil)"

  /// A report in which every text that a model, a file name or a machine supplies is hostile.
  private func report() -> ParityReport {
    var synthetic = SyntheticEvidence(noise: 0.5, pairs: 6)
    var evidence = synthetic.evidence()
    let hostile = Self.hostile
    evidence.inputs.reference.path = hostile
    evidence.inputs.candidate.path = hostile
    evidence.inputs.candidate.types = [hostile]
    evidence.inputs.pairsPath = hostile
    evidence.inputs.referenceDigest = hostile
    evidence.run.cpu = hostile
    evidence.attribution?.tensors[0].name = hostile
    evidence.attribution?.tensors[0].recipeRule = hostile
    evidence.attribution?.parts[0].name = hostile
    for index in evidence.pairs.indices {
      evidence.pairs[index].query = hostile
      evidence.pairs[index].decode?.reference.text = hostile
      evidence.pairs[index].decode?.candidate.text = "x" + hostile
      evidence.pairs[index].worst = evidence.pairs[index].worst.map {
        var position = $0
        position.context = hostile
        position.correct = hostile
        position.candidateToken = hostile
        position.head = hostile
        return position
      }
    }
    return ParityReport(
      evidence: evidence, policy: ParityPolicy(name: hostile, maximumDivergence: 1e-9))
  }

  @Test func nothingInAReportBecomesMarkup() {
    let html = report().html
    #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"))
    #expect(!html.contains("<script"))
    #expect(!html.contains("\u{202E}"))
    #expect(!html.contains("Markup("))
  }

  @Test func thePageLoadsNothing() {
    let html = report().html
    #expect(html.contains("default-src 'none'"))
    for reference in ["src=", "href=", "url(", "@import", "<link", "<img", "<iframe"] {
      #expect(!html.contains(reference), "\(reference)")
    }
  }

  /// Every element that is opened is closed, in order: text cannot have broken the structure.
  @Test func thePageIsBalanced() throws {
    let html = report().html
    let void: Set<String> = [
      "meta", "br", "wbr", "path", "line", "circle", "rect", "!doctype",
    ]
    var open: [String] = []
    for match in html.matches(of: #/<(/?)([a-z0-9!]+)([^>]*)>/#) {
      let name = String(match.output.2)
      if match.output.3.hasSuffix("/") || void.contains(name) && match.output.1.isEmpty {
        if !match.output.3.hasSuffix("/"), name == "circle" || name == "rect" || name == "path" {
          open.append(name)
        }
        continue
      }
      if match.output.1.isEmpty { open.append(name) } else { #expect(open.popLast() == name) }
    }
    #expect(open.isEmpty, "\(open)")
  }

  @Test func markdownKeepsItsTables() {
    let text = report().markdown
    // Outside code spans, which are literal, every special character has its backslash.
    let prose = text.replacing(#/\\./#, with: "").replacing(#/`[^`]*`/#, with: "")
      .replacing(#/<\/?(sub|details|summary)>/#, with: "")
    #expect(prose.contains("script"))
    #expect(prose.firstMatch(of: #/[<>\[\]`]/#) == nil)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| ") }
    #expect(rows.count > 60)
    for text in ["Predicted", "Mask ratio", "Place in slot", "Drift by cause", "would restore it"] {
      #expect(text == "would restore it" || prose.contains(text), "\(text)")
    }
  }

  /// Reports without decoding, attribution or even positions render too.
  @Test func emptyReportsRender() {
    let evidence = ParityEvidence(
      inputs: SyntheticEvidence.inputs(pairs: 0), pairs: [],
      run: RunInformation(tool: "", cpu: "", isa: "", threads: 1, seconds: 0))
    let report = ParityReport(evidence: evidence, policy: .defaults(for: .int8))
    #expect(report.html.contains("Not enough data"))
    #expect(report.markdown.contains("Nothing was compared"))
  }
}
