/// A table with right-aligned figures; columns marked `text` are left-aligned and wrap.
struct Table {
  let columns: [(name: String, isText: Bool)]
  private var rows = Markup.empty

  init(_ columns: [(name: String, isText: Bool)]) { self.columns = columns }

  mutating func row(_ cells: [Markup]) {
    precondition(cells.count == columns.count)
    rows += "<tr>"
    for (cell, column) in zip(cells, columns) {
      rows += column.isText ? "<td class=\"text\">\(cell)</td>" : "<td>\(cell)</td>"
    }
    rows += "</tr>"
  }

  var markup: Markup {
    let heads = columns.map { column -> Markup in
      column.isText
        ? "<th class=\"text\">\(column.name)</th>" : "<th>\(column.name)</th>"
    }
    return """
      <div class="scroll"><table><thead><tr>\(heads.joined())</tr></thead>\
      <tbody>\(rows)</tbody></table></div>
      """
  }
}

extension Page {
  /// Every limit with what was observed, failures first.
  var checks: Markup {
    guard !report.checks.isEmpty else { return .empty }
    var table = Table([("Check", true), ("Outcome", false)])
    let order: [ParityVerdict] = [.fail, .undecided, .pass]
    for outcome in order {
      for check in report.checks where check.outcome == outcome {
        table.row(["\(check.explanation)", outcome.chip])
      }
    }
    return """
      <section><h2>Checks</h2>
      <p class="lead">Limits: \(report.policy.name).</p>\(table.markup)</section>
      """
  }

  var evidence: Markup {
    let inputs = report.inputs
    var facts: [(String, Markup)] = [
      ("Reference", "\(inputs.reference.path)<br><code>\(inputs.referenceDigest)</code>"),
      ("Candidate", "\(inputs.candidate.path)<br><code>\(inputs.candidateDigest)</code>"),
      ("Pairs", "\(inputs.pairsPath)<br><code>\(inputs.pairsDigest)</code>"),
      ("Evaluated", "\(evaluated)"),
      (
        "Settings and seed",
        "seed \(String(inputs.seed))<br><code>\(inputs.settingsDigest)</code>"
      ),
    ]
    if let decoding = inputs.settings.decoding {
      facts.append(
        (
          "Decoding",
          """
          slots of \(decoding.slotSize), \(decoding.blocks) serial blocks, \
          τ<sub>s</sub> = \(Figure.number(decoding.slotThreshold)), \
          τ<sub>t</sub> = \(Figure.number(decoding.tokenThreshold)), \
          up to \(decoding.maximumTokens) tokens, EOS handling \(decoding.endOfSequence)
          """
        ))
    }
    let run = report.run
    facts.append(
      (
        "Run",
        "\(run.tool) on \(run.cpu) (\(run.isa), \(run.threads) threads), \(report.timeSentence)"
      ))
    let list = facts.map { name, value -> Markup in "<dt>\(name)</dt><dd>\(value)</dd>" }
    return """
      <section><h2>Evidence</h2>
      <p class="lead">The SHA-256 hashes bind this report to exactly these files; equal files, \
      settings and seed give equal figures.</p>
      <dl>\(list.joined())</dl></section>
      <footer>KL is KL(reference ‖ candidate) in nats. NLL is the mean per response token, EOS \
      included. Intervals: studentised paired bootstrap over pairs, \
      \(Figure.grouped(report.policy.resamples)) resamples.</footer>
      """
  }

  private var evaluated: String {
    let pairs = Figure.count(report.pairs.count, "pair")
    let positions = report.heads.reduce(0) { $0 + $1.value.positions }
    let stopped = report.run.stoppedEarly ? "; stopped early because the outcome was clear" : ""
    return "\(pairs) of \(Figure.grouped(report.inputs.pairsInFile)), "
      + "\(Figure.count(positions, "scored position"))\(stopped)"
  }
}
