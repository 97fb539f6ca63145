extension ParityReport {
  /// The report for a pull request: verdict, reasons and the main tables.
  ///
  /// Texts are escaped, so that a file name cannot break a table or start a link.
  package var markdown: String {
    var parts = [
      "## \(symbol) Parity: \(verdict.title)",
      headlines.map { "* \(Self.escaped($0))" }.joined(separator: "\n"),
      "`\(Self.code(inputs.reference.path))` → `\(Self.code(inputs.candidate.path))` on "
        + "\(Figure.count(pairs.count, "pair")) of `\(Self.code(inputs.pairsPath))`, "
        + "limits: \(Self.escaped(policy.name))",
    ]
    if !heads.isEmpty { parts.append(headTable) }
    if !likelihood.isEmpty { parts.append(likelihoodTable) }
    if let decode { parts.append(decodeTable(decode)) }
    if let replay = decode?.replay { parts.append(replayTable(replay)) }
    parts += thresholdSentences.map { "* \(Self.escaped($0))" }
    if let attribution { parts += attributionParts(attribution) }
    if !splits.isEmpty { parts.append(splitDetails) }
    if !worst.isEmpty { parts.append(worstDetails) }
    parts.append(
      "<sub>reference `\(Self.code(inputs.referenceDigest))`, candidate "
        + "`\(Self.code(inputs.candidateDigest))`, pairs `\(Self.code(inputs.pairsDigest))`, "
        + "settings `\(Self.code(inputs.settingsDigest))`, seed \(inputs.seed); "
        + "\(Self.escaped(timeSentence))</sub>")
    return parts.joined(separator: "\n\n") + "\n"
  }

  private var symbol: String {
    switch verdict {
    case .pass: "✅"
    case .fail: "❌"
    case .undecided: "❔"
    }
  }

  private var headTable: String {
    Self.table(
      ["Head", "Positions", "KL mean", "99 %", "max", "Top-1", "Top-5", "Δ NLL"],
      heads.map { entry in
        let head = entry.value
        return [
          entry.name, Figure.grouped(head.positions), Figure.number(head.divergence.mean),
          Figure.number(head.divergence.p99), Figure.number(head.divergence.max),
          Figure.percent(head.topOneAgreement), Figure.percent(head.topFiveAgreement),
          Figure.number(head.lossDifference),
        ]
      })
  }

  private var likelihoodTable: String {
    Self.table(
      ["Likelihood", "NLL reference", "NLL candidate", "Perplexity", "Interval"],
      likelihood.map { entry in
        let value = entry.value
        let interval =
          if let low = value.increaseLower, let high = value.increaseUpper {
            "\(Figure.change(low)) … \(Figure.change(high))"
          } else {
            "too few pairs"
          }
        return [
          entry.name, Figure.decimals(value.referenceLoss), Figure.decimals(value.candidateLoss),
          Figure.change(value.perplexityIncrease), interval,
        ]
      })
  }

  func decodeTable(_ decode: DecodeSummary) -> String {
    Self.table(
      ["Decoding", "Reference", "Candidate"],
      [
        [
          "tokens per forward", Figure.number(decode.referenceTokensPerForward),
          Figure.number(decode.candidateTokensPerForward),
        ],
        [
          "forwards", Figure.grouped(decode.referenceForwards),
          Figure.grouped(decode.candidateForwards),
        ],
        ["identical outputs", "", "\(decode.exactOutputs) of \(decode.prompts)"],
        ["mean edit distance", "", Figure.percent(decode.meanEditDistance)],
        [
          "flipped decisions", "", "\(decode.flippedDecisions) of \(decode.replayedDecisions)",
        ],
      ]
        + (decode.answers.map {
          [
            [
              "right final answers of \($0.pairs)", "\($0.referenceCorrect)",
              "\($0.candidateCorrect)",
            ]
          ]
        } ?? []))
  }

  static func table(_ heads: [String], _ rows: [[String]]) -> String {
    func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }
    let rule = heads.indices.map { $0 == 0 ? "---" : "---:" }
    return ([line(heads), line(rule)] + rows.map { line($0.map(escaped)) })
      .joined(separator: "\n")
  }

  /// Text with Markdown's and HTML's special characters made literal.
  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      if "\\`*_[]<>|#~!".contains(character) { result.append("\\") }
      result.append(character.isNewline ? " " : character)
    }
    return result
  }

  /// Text inside a code span: nothing but a backtick or a line end could leave it.
  private static func code(_ text: String) -> String {
    String(text.map { $0 == "`" ? "'" : $0.isNewline ? " " : $0 })
  }
}
