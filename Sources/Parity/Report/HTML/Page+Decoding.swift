extension Page {
  /// Free-running outputs, replayed decisions, and both models' timelines.
  var decoding: Markup {
    guard let decode = report.decode else { return .empty }
    let examples = report.examples.map { example($0) }
    let hasTimeline = report.examples.contains { !$0.decode.reference.timeline.steps.isEmpty }
    return """
      <section><h2>Decoding</h2>
      <p class="lead">\(decodeSentence(decode))</p>
      \(replayTable(decode))\(thresholdTable(decode))
      \(Markup.when(hasTimeline, timelineLegend))\(examples.joined())</section>
      """
  }

  private func decodeSentence(_ decode: DecodeSummary) -> String {
    var sentences = [
      "\(decode.exactOutputs) of \(decode.prompts) outputs are identical."
    ]
    if let median = decode.medianFirstDivergence {
      sentences.append(
        "Those that differ do so from token \(Figure.limit(median)) on (median); "
          + "the mean edit distance is \(Figure.percent(decode.meanEditDistance)) of the length.")
    }
    if let answers = decode.answers {
      sentences.append(
        "Final answers agree on \(answers.agree) of \(answers.pairs) pairs; the reference is right "
          + "on \(answers.referenceCorrect), the candidate on \(answers.candidateCorrect).")
    }
    sentences.append(
      "The reference took \(Figure.count(decode.referenceForwards, "forward")), the candidate "
        + "\(Figure.grouped(decode.candidateForwards)).")
    if let flip = decode.replay?.firstFlip {
      sentences.append(
        "Replayed along the reference's trajectory, the first decision to flip is "
          + "\(flip.kindName) at token \(flip.position) in forward \(flip.forward) of pair "
          + "\(flip.pair) (\(flip.change)).")
    }
    if let causes = report.causesSentence {
      sentences.append("Outputs that differ, by the decision that flipped first: \(causes).")
    }
    return sentences.joined(separator: " ")
  }

  private func replayTable(_ decode: DecodeSummary) -> Markup {
    guard let replay = decode.replay, !replay.kinds.isEmpty else { return .empty }
    var table = Table([
      ("Replayed decision", false), ("Taken", false), ("Flipped", false), ("Share", false),
      ("Predicted flips", false), ("Noise of p", false), ("Median |p − τ|", false),
    ])
    for entry in replay.kinds {
      let kind = entry.value
      func optional(_ value: Double?) -> Markup { "\(value.map(Figure.number) ?? "–")" }
      table.row([
        "\(ReplaySummary.readable(entry.name))", "\(Figure.grouped(kind.decisions))",
        "\(Figure.grouped(kind.flips))",
        "\(Figure.percent(Double(kind.flips) / Double(max(1, kind.decisions))))",
        optional(kind.predictedFlips), optional(kind.noise), optional(kind.medianMargin),
      ])
    }
    return table.markup
  }

  private func thresholdTable(_ decode: DecodeSummary) -> Markup {
    let thresholds = decode.replay?.thresholds ?? NamedList()
    guard thresholds.contains(where: { $0.value.suggested != $0.value.value }) else {
      return .empty
    }
    var table = Table([
      ("Threshold", false), ("Now", false), ("Reference accepts", false),
      ("Candidate accepts", false), ("Suggested for the candidate", false),
    ])
    for entry in thresholds {
      table.row([
        "\(entry.name)", "\(Figure.limit(entry.value.value))",
        "\(Figure.percent(entry.value.referenceRate))",
        "\(Figure.percent(entry.value.candidateRate))", "\(Figure.precise(entry.value.suggested))",
      ])
    }
    return table.markup
  }

  // MARK: One pair

  private func example(_ example: DecodeExample) -> Markup {
    let decode = example.decode
    let forwards = max(decode.reference.timeline.steps.count, decode.candidate.timeline.steps.count)
    let state =
      example.firstDivergence.map { "differs from token \($0) on" } ?? "identical outputs"
    let flip = report.pairs.first { $0.index == example.pair }?.firstFlip
    let cause =
      flip.map {
        "First flip along the reference: \($0.kindName) at token \($0.position), forward "
          + "\($0.forward), \($0.change)."
      } ?? ""
    return """
      <div class="pair"><h3>Pair \(example.pair): \(state)</h3>
      <p class="query">\(String(example.query.prefix(600)))</p>\
      \(Markup.when(!cause.isEmpty, "<p class=\"cause\">\(cause)</p>"))
      <div class="duo">\(output("reference", decode.reference, against: decode.candidate, forwards))\
      \(output("candidate", decode.candidate, against: decode.reference, forwards))</div></div>
      """
  }

  private var timelineLegend: Markup {
    let keys: [(String, String)] = [
      ("plan", "waiting, drafted from MASKs"), ("verify", "verified"),
      ("propose", "filled in"), ("done", "committed"), ("held", "final"),
    ]
    let spans = keys.map { style, text -> Markup in
      "<span><i class=\"key \(style)\"></i>\(text)</span>"
    }
    return "<div class=\"legend\" style=\"margin-top:22px\">\(spans.joined())</div>"
  }

  private func output(
    _ role: String, _ run: DecodeRun, against other: DecodeRun, _ forwards: Int
  ) -> Markup {
    """
    <div class="out"><header><span class="role \(role)">\(role)</span>\
    <span>\(run.tokens.count) tokens, \(Figure.count(run.forwards, "forward"))</span></header>\
    \(Timeline(run.timeline, columns: forwards).markup)\
    <pre>\(marked(run.text, from: other.text))</pre></div>
    """
  }

  /// The text, with what comes after the common beginning marked.
  private func marked(_ text: String, from other: String) -> Markup {
    let limited = String(text.prefix(4000))
    let common = zip(limited, other).prefix { $0 == $1 }.count
    let same = String(limited.prefix(common))
    let rest = String(limited.dropFirst(common))
    return rest.isEmpty ? "\(same)" : "\(same)<mark>\(rest)</mark>"
  }
}

/// A decoding as a grid: a column per forward, a row per slot.
private struct Timeline {
  private let timeline: DecodeTimeline
  private let columns: Int
  private let slots: Int

  /// - Parameter columns: forwards of the longer of the two decodings, so that both share a scale.
  init(_ timeline: DecodeTimeline, columns: Int) {
    self.timeline = timeline
    self.columns = max(1, columns)
    slots = 1 + (timeline.steps.flatMap { $0.slots + $0.committed }.max() ?? -1)
  }

  var markup: Markup {
    // Beyond this a cell is thinner than a pixel and the file is mostly rectangles.
    guard slots > 0, slots <= 512, columns <= 2048 else { return .empty }
    let height = Double(slots) * cell
    return """
      <svg class="lane" viewBox="0 0 \(Double(columns) * cell) \(height)" \
      preserveAspectRatio="none" style="height:\(min(max(slots * 11, 44), 220))px" role="img" \
      aria-label="Slots over forwards">\(cells)</svg>\
      <div class="axisnote"><span>slot 0 at the top, \(slots) slots of \(timeline.slotSize)</span>\
      <span>forwards →</span></div>
      """
  }

  private let cell = 10.0

  private var cells: Markup {
    var all = Markup.empty
    func rectangle(_ slot: Int, _ column: Int, _ width: Int, _ style: String) {
      all += """
        <rect class="\(style)" x="\(Double(column) * cell + 0.6)" y="\(Double(slot) * cell + 0.6)" \
        width="\(Double(width) * cell - 1.2)" height="\(cell - 1.2)" rx="1.5"/>
        """
    }
    for (column, step) in timeline.steps.enumerated() {
      let committed = Set(step.committed)
      for slot in step.slots where !committed.contains(slot) {
        rectangle(slot, column, 1, step.work == .plan ? "plan" : step.work.rawValue)
      }
      for slot in step.committed {
        rectangle(slot, column, 1, "done")
        // The rest of the row is final: one pale bar up to the end of this decoding.
        let left = timeline.steps.count - column - 1
        if left > 0 { rectangle(slot, column + 1, left, "held") }
      }
    }
    return all
  }
}
