internal import Foundation

extension ParityReport {
  /// Holds every limit of the policy against the figures. Depends on nothing outside the report,
  /// so that a reader can do it again.
  package mutating func judge() {
    // A damaged tensor explains every figure behind it, so it is told first.
    checks =
      checksumChecks + damageChecks + finiteCheck + distributionChecks + perplexityChecks
      + decodeChecks
    verdict = checks.verdict
    reasons = checks.reasons
    if verdict == .pass, isIdentical {
      reasons = ["Every distribution and every output is identical."]
    }
  }

  /// Nothing differs anywhere, to the last bit of the divergence.
  package var isIdentical: Bool {
    heads.allSatisfy { $0.value.divergence.max == 0 && $0.value.topOneAgreement == 1 }
      && !heads.isEmpty && (decode.map { $0.exactOutputs == $0.prompts } ?? true)
      && (decode?.flippedDecisions ?? 0) == 0
  }

  private var finiteCheck: [ParityCheck] {
    let count = nonFinitePositions
    guard count > 0 else { return [] }
    return [
      ParityCheck(
        name: "finite", scope: "logits", observed: Double(count), limit: 0, outcome: .fail,
        explanation: "\(Figure.count(count, "position")) gave logits that are not finite.")
    ]
  }

  private var distributionChecks: [ParityCheck] {
    heads.flatMap { entry in
      let head = entry.value
      return [
        ParityCheck(
          "max_kl", entry.name, head.divergence.mean, atMost: policy.maximumDivergence,
          what: "mean KL of the \(entry.name) head", Figure.number),
        ParityCheck(
          "max_kl_p99", entry.name, head.divergence.p99, atMost: policy.maximumTailDivergence,
          what: "99th percentile of KL of the \(entry.name) head", Figure.number),
        ParityCheck(
          "min_top1", entry.name, head.topOneAgreement, atLeast: policy.minimumTopOne,
          what: "top-1 agreement of the \(entry.name) head", Figure.percent),
      ].compactMap { $0 }
    }
  }

  /// Causal and slot perplexity are gated. The objective's sampled losses are reported only: their
  /// 1/p weights give single pairs a large say.
  private var perplexityChecks: [ParityCheck] {
    guard let increase = policy.maximumPerplexityIncrease else { return [] }
    return likelihood.filter { $0.name == "causal" || $0.name.hasPrefix("slot_") }
      .map { ParityCheck(perplexityOf: $0.name, $0.value, maximumIncrease: increase) }
  }

  private var decodeChecks: [ParityCheck] {
    guard let decode else { return [] }
    let exact = Double(decode.exactOutputs) / Double(max(1, decode.prompts))
    let flips = Double(decode.flippedDecisions) / Double(max(1, decode.replayedDecisions))
    return [
      ParityCheck(
        "min_exact", "decoding", exact, atLeast: policy.minimumExact,
        what: "share of identical outputs (\(decode.exactOutputs) of \(decode.prompts))",
        Figure.percent),
      ParityCheck(
        "max_flips", "decoding", flips, atMost: policy.maximumFlips,
        what: "share of flipped decisions "
          + "(\(decode.flippedDecisions) of \(decode.replayedDecisions))", Figure.percent),
    ].compactMap { $0 }
  }

  /// Bytes that changed since the file was written need no threshold.
  private var checksumChecks: [ParityCheck] {
    damagedTensors.map { name in
      ParityCheck(
        name: "checksum", scope: name, outcome: .fail,
        explanation: "The candidate's \(name) is damaged: its bytes no longer have the checksum "
          + "that the file was written with.")
    }
  }

  /// A tensor further off than its scheme explains is damaged, whatever the text looks like.
  private var damageChecks: [ParityCheck] {
    (attribution?.tensors ?? []).filter(\.isSuspect).map { tensor in
      let place = tensor.worstPlace.map { ", most in the group at \($0)" } ?? ""
      return ParityCheck(
        name: "weights", scope: tensor.name, observed: tensor.weightError,
        limit: 2 * tensor.expectedError, outcome: .fail,
        explanation: "The weights of \(tensor.name) are off by "
          + "\(Figure.percent(tensor.weightError))\(place); storing them as \(tensor.scheme) "
          + "explains \(Figure.percent(tensor.expectedError)).")
    }
  }
}

extension ParityCheck {
  /// Nil when the policy does not set the limit.
  fileprivate init?(
    _ name: String, _ scope: String, _ observed: Double, atMost limit: Double?, what: String,
    _ format: (Double) -> String
  ) {
    guard let limit else { return nil }
    // Written so that NaN fails.
    self.init(
      name, scope, observed, limit, holds: observed <= limit, what: what, bound: "at most", format)
  }

  fileprivate init?(
    _ name: String, _ scope: String, _ observed: Double, atLeast limit: Double?, what: String,
    _ format: (Double) -> String
  ) {
    guard let limit else { return nil }
    self.init(
      name, scope, observed, limit, holds: observed >= limit, what: what, bound: "at least",
      format)
  }

  private init(
    _ name: String, _ scope: String, _ observed: Double, _ limit: Double, holds: Bool,
    what: String, bound: String, _ format: (Double) -> String
  ) {
    // Limits are shares or nats; shares are given and shown as percent.
    let shown = format(1) == Figure.percent(1) ? Figure.percent(limit) : Figure.limit(limit)
    let sentence = "The \(what) is \(format(observed)); \(bound) \(shown) is allowed."
    self.init(
      name: name, scope: scope, observed: observed, limit: limit,
      outcome: holds ? .pass : .fail,
      explanation: bound == "at least"
        ? sentence.replacingOccurrences(of: "is allowed", with: "is required") : sentence)
  }

  fileprivate init(
    perplexityOf metric: String, _ summary: LikelihoodSummary, maximumIncrease: Double
  ) {
    let test = NonInferiority(
      interval: summary.interval, maximumIncrease: maximumIncrease)
    let name = metric.replacingOccurrences(of: "_", with: " ")
    let limit = Figure.percent(maximumIncrease)
    let change = "The \(name) perplexity changes by \(Figure.change(summary.perplexityIncrease))"
    let level = Figure.percent(summary.confidence)
    var needed: Int?
    let outcome: ParityVerdict
    let explanation: String
    switch test.outcome {
    case .pass:
      outcome = .pass
      explanation =
        "\(change), at most \(Figure.change(summary.increaseUpper ?? 0)) with "
        + "\(level) confidence; \(limit) is allowed."
    case .fail:
      outcome = .fail
      explanation =
        "\(change), at least \(Figure.change(summary.increaseLower ?? 0)) with "
        + "\(level) confidence; \(limit) is allowed."
    case .notEnoughData(let pairs):
      outcome = .undecided
      needed = pairs
      explanation =
        "\(change), and \(Figure.count(summary.pairs, "pair")) cannot tell whether it stays "
        + "within \(limit): "
        + (pairs.map { "about \(Figure.grouped($0)) pairs would." } ?? "it is right at the limit.")
    }
    self.init(
      name: "max_ppl_increase", scope: metric, observed: summary.perplexityIncrease,
      limit: maximumIncrease, outcome: outcome, explanation: explanation, pairsNeeded: needed)
  }
}
