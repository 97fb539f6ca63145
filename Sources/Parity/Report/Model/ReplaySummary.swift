internal import Foundation

/// How the candidate decides along the reference's trajectory.
package struct ReplaySummary: Sendable, Equatable, Codable {
  /// One kind of decision.
  package struct Kind: Sendable, Equatable, Codable {
    package var decisions: Int
    package var flips: Int
    /// Flips to expect if the candidate's noise did not depend on how close the threshold is.
    package var predictedFlips: Double?
    /// Root mean square of the candidate's change of probability.
    package var noise: Double?
    /// Median distance of the reference's probability from the threshold.
    package var medianMargin: Double?

    enum CodingKeys: String, CodingKey {
      case decisions, flips
      case predictedFlips = "predicted_flips"
      case noise = "probability_noise"
      case medianMargin = "median_margin"
    }
  }

  /// A threshold of the decoder and the one that restores the reference's rate.
  package struct Threshold: Sendable, Equatable, Codable {
    package var value: Double
    /// Share of decisions above it, under each model.
    package var referenceRate: Double
    package var candidateRate: Double
    /// The candidate accepts as often as the reference did with this one.
    package var suggested: Double

    enum CodingKeys: String, CodingKey {
      case value
      case referenceRate = "reference_rate"
      case candidateRate = "candidate_rate"
      case suggested
    }
  }

  /// Where the candidate first decided otherwise.
  package struct FirstFlip: Sendable, Equatable, Codable {
    package var pair: Int
    package var forward: Int
    package var position: Int
    package var kind: String
    /// What was compared: probabilities, token ids or lengths.
    package var reference: Double
    package var candidate: Double
    /// Both tokens as text, where the decision is about a token.
    package var referenceToken: String?
    package var candidateToken: String?

    enum CodingKeys: String, CodingKey {
      case pair, forward, position, kind, reference, candidate
      case referenceToken = "reference_token"
      case candidateToken = "candidate_token"
    }
  }

  package var kinds: NamedList<Kind>
  package var thresholds: NamedList<Threshold>
  /// The earliest flip by pair, then forward.
  package var firstFlip: FirstFlip?

  enum CodingKeys: String, CodingKey {
    case kinds, thresholds
    case firstFlip = "first_flip"
  }
}

extension ReplaySummary {
  /// Nil without decisions.
  init?(_ decisions: [ReplayDecision], settings: ParitySettings.Decoding?) {
    guard !decisions.isEmpty else { return nil }
    kinds = NamedList()
    thresholds = NamedList()
    for kind in ReplayDecision.Kind.allCases {
      let own = decisions.filter { $0.kind == kind }
      guard !own.isEmpty else { continue }
      guard kind.hasThreshold, let settings else {
        kinds.append(kind.name, Kind(decisions: own.count, flips: own.count { $0.flipped }))
        continue
      }
      let threshold =
        kind == .slotChoice ? settings.slotThreshold : settings.tokenThreshold
      let analysis = ThresholdAnalysis(own, threshold: threshold)
      kinds.append(
        kind.name,
        Kind(
          decisions: own.count, flips: own.count { $0.flipped },
          predictedFlips: analysis.predictedFlips, noise: analysis.noise,
          medianMargin: analysis.medianMargin))
      thresholds.append(kind == .slotChoice ? "slot" : "token", analysis.threshold)
    }
    firstFlip = FirstFlip(decisions)
  }
}

extension ReplaySummary.FirstFlip {
  /// The earliest flip by pair, then forward; nil when nothing flipped.
  ///
  /// - Parameter name: a token's text; without it the tokens stay numbers.
  package init?(_ decisions: [ReplayDecision], name: ((UInt32) -> String)? = nil) {
    let flips = decisions.lazy.filter(\.flipped)
    guard
      let first = flips.min(by: {
        ($0.pair, $0.forward, $0.kind.rawValue, $0.position)
          < ($1.pair, $1.forward, $1.kind.rawValue, $1.position)
      })
    else { return nil }
    pair = Int(first.pair)
    forward = Int(first.forward)
    position = Int(first.position)
    kind = first.kind.name
    reference = Double(first.reference)
    candidate = Double(first.candidate)
    guard first.kind == .draftToken, let name else { return }
    // Token ids are exact in f32 up to 2²⁴, far above any vocabulary.
    referenceToken = UInt32(exactly: first.reference).map(name)
    candidateToken = UInt32(exactly: first.candidate).map(name)
  }
}

/// Decisions that compare a probability with one threshold.
///
/// The candidate's noise is taken in log-odds, where it is about as wide near 1 as near ½. The
/// chance that a decision flips is then the share of all observed changes that would carry it
/// across: no shape is assumed. Observed flips far above that mean noise that gathers where it
/// hurts.
struct ThresholdAnalysis {
  let predictedFlips: Double
  let noise: Double
  let medianMargin: Double
  let threshold: ReplaySummary.Threshold

  /// - Parameter decisions: not empty.
  init(_ decisions: [ReplayDecision], threshold given: Double) {
    // As the decoder compares it.
    let threshold = Double(Float(given))
    let changes = decisions.map {
      Self.logOdds($0.candidate) - Self.logOdds($0.reference)
    }.sorted()
    let limit = Self.logOdds(Float(threshold))
    var predicted = 0.0
    for decision in decisions {
      // The change that reaches the threshold; at it a decision is "not above".
      let needed = limit - Self.logOdds(decision.reference)
      let atOrBelow = Self.count(of: changes, atMost: needed)
      let above = Double(decision.reference) > threshold
      predicted += Double(above ? atOrBelow : changes.count - atOrBelow) / Double(changes.count)
    }
    predictedFlips = predicted
    let squares = decisions.reduce(0) { $0 + pow(Double($1.candidate) - Double($1.reference), 2) }
    noise = (squares / Double(decisions.count)).squareRoot()
    medianMargin =
      Percentiles(decisions.map { abs($0.reference - Float(threshold)) })?.median ?? 0
    var calibrated = Self.calibrated(decisions, threshold)
    if calibrated.suggested == threshold { calibrated.suggested = given }
    calibrated.value = given
    self.threshold = calibrated
  }

  /// The threshold at which the candidate accepts as many decisions as the reference did: halfway
  /// between the last one to accept and the first one not to.
  private static func calibrated(
    _ decisions: [ReplayDecision], _ threshold: Double
  ) -> ReplaySummary.Threshold {
    let count = Double(decisions.count)
    let accepted = decisions.count { Double($0.reference) > threshold }
    let byCandidate = decisions.count { Double($0.candidate) > threshold }
    let descending = decisions.map { Double($0.candidate) }.sorted(by: >)
    let suggested: Double =
      if accepted == byCandidate {
        threshold
      } else if accepted == 0 {
        descending[0]
      } else if accepted == decisions.count {
        max(0, descending[accepted - 1] - 1e-6)
      } else {
        (descending[accepted - 1] + descending[accepted]) / 2
      }
    return ReplaySummary.Threshold(
      value: threshold, referenceRate: Double(accepted) / count,
      candidateRate: Double(byCandidate) / count, suggested: suggested)
  }

  /// log(p / (1 − p)), with p kept 1e-7 off 0 and 1: what a float probability resolves.
  private static func logOdds(_ probability: Float) -> Double {
    let p = min(max(Double(probability), 1e-7), 1 - 1e-7)
    return log(p / (1 - p))
  }

  /// How many of the ascending values are ≤ the limit.
  private static func count(of sorted: [Double], atMost limit: Double) -> Int {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] <= limit { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
