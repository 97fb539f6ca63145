/// Sentences that the terminal, Markdown and HTML share.
extension ParityReport {
  /// What to say first: the reasons; for a pass, that all limits hold and which is nearest.
  package var headlines: [String] {
    guard verdict == .pass, checks.count > 3, !isIdentical else { return reasons }
    let all = "All \(checks.count) limits hold."
    let closest = checks.max { nearness($0) < nearness($1) }
    return closest.map { [all, "Nearest to its limit: \($0.explanation)"] } ?? [all]
  }

  /// How much of a limit is used up: 1 at the limit.
  private func nearness(_ check: ParityCheck) -> Double {
    guard let observed = check.observed, let limit = check.limit else { return 0 }
    if check.name.hasPrefix("min_") { return limit < 1 ? (1 - observed) / (1 - limit) : 0 }
    let value =
      check.name == "max_ppl_increase"
      ? likelihood[check.scope]?.increaseUpper ?? observed : observed
    return limit > 0 ? value / limit : 0
  }

  /// `model arithmetic 93 % of 41 s`.
  package var timeSentence: String {
    let share = run.seconds > 0 ? min(1, run.modelSeconds / run.seconds) : 0
    return "model arithmetic \(Figure.percent(share)) of \(Figure.duration(run.seconds))"
  }

  /// Where the candidate first decided otherwise, and what; nil when nothing flipped.
  package var firstFlipSentence: String? {
    guard let flip = decode?.replay?.firstFlip else { return nil }
    return "first flip: \(flip.kindName) at token \(flip.position) in forward \(flip.forward) of "
      + "pair \(flip.pair), \(flip.change)"
  }

  /// What flipped first in the outputs that differ: `acceptance 12, draft token 3`.
  package var causesSentence: String? {
    guard let causes = decode?.divergenceCauses, !causes.isEmpty else { return nil }
    return causes.map { "\(ReplaySummary.readable($0.name)) \($0.value)" }.joined(separator: ", ")
  }

  /// Thresholds that would restore the reference's acceptance rate, where they are others.
  package var thresholdSentences: [String] {
    (decode?.replay?.thresholds ?? NamedList()).compactMap { entry in
      let value = entry.value
      guard value.suggested != value.value else { return nil }
      return "\(entry.name) threshold \(Figure.limit(value.value)): the reference accepts "
        + "\(Figure.percent(value.referenceRate)), the candidate "
        + "\(Figure.percent(value.candidateRate)); \(Figure.precise(value.suggested)) would restore it"
    }
  }
}

extension ReplaySummary {
  /// A kind of decision as people read it.
  package static func readable(_ kind: String) -> String {
    kind.split(separator: "_").joined(separator: " ")
  }
}

extension ReplaySummary.FirstFlip {
  package var kindName: String { ReplaySummary.readable(kind) }

  /// Both sides of the decision in its own terms: tokens, lengths, yes or no, probabilities.
  package var change: String {
    switch kind {
    case ReplayDecision.Kind.draftToken.name:
      func token(_ text: String?, _ id: Double) -> String {
        text.map { "“\($0)”" } ?? "token \(Figure.limit(id))"
      }
      return "\(token(referenceToken, reference)) → \(token(candidateToken, candidate))"
    case ReplayDecision.Kind.acceptedLength.name:
      return "\(Figure.limit(reference)) → \(Figure.limit(candidate)) tokens"
    case ReplayDecision.Kind.endOfSequence.name:
      return reference > 0.5 ? "ended → goes on" : "went on → ends"
    default: return "p \(Figure.number(reference)) → \(Figure.number(candidate))"
    }
  }
}
