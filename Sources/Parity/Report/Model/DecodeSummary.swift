/// Free-running and replayed decoding over all decoded pairs.
package struct DecodeSummary: Sendable, Equatable, Codable {
  package var prompts: Int
  /// Outputs that are equal, token for token.
  package var exactOutputs: Int
  /// Generated tokens ÷ calls of the model.
  package var referenceTokensPerForward: Double
  package var candidateTokensPerForward: Double
  package var replayedDecisions: Int
  package var flippedDecisions: Int

  package var referencePublished: Double?
  package var candidatePublished: Double?
  package var referenceForwards: Int
  package var candidateForwards: Int
  /// Mean edit distance ÷ length of the longer output.
  package var meanEditDistance: Double
  /// Median index of the first differing token, over outputs that differ.
  package var medianFirstDivergence: Double?
  package var answers: Answers?
  package var replay: ReplaySummary?
  /// Of outputs that differ: which kind of decision flipped first, with how many outputs.
  package var divergenceCauses: NamedList<Int>

  /// Final answers, over pairs that carry one.
  package struct Answers: Sendable, Equatable, Codable {
    package var pairs: Int
    /// Both models give the same final answer.
    package var agree: Int
    package var referenceCorrect: Int
    package var candidateCorrect: Int

    enum CodingKeys: String, CodingKey {
      case pairs, agree
      case referenceCorrect = "reference_correct"
      case candidateCorrect = "candidate_correct"
    }
  }

  enum CodingKeys: String, CodingKey {
    case prompts
    case exactOutputs = "exact_outputs"
    case referenceTokensPerForward = "tokens_per_forward_reference"
    case candidateTokensPerForward = "tokens_per_forward_candidate"
    case replayedDecisions = "replayed_decisions"
    case flippedDecisions = "flipped_decisions"
    case referencePublished = "published_tokens_per_forward_reference"
    case candidatePublished = "published_tokens_per_forward_candidate"
    case referenceForwards = "forwards_reference"
    case candidateForwards = "forwards_candidate"
    case meanEditDistance = "mean_edit_distance"
    case medianFirstDivergence = "median_first_divergence"
    case answers, replay
    case divergenceCauses = "divergence_causes"
  }
}

extension DecodeSummary {
  /// Nil when nothing was decoded.
  init?(_ pairs: [PairEvidence], settings: ParitySettings) {
    let decoded = pairs.compactMap(\.decode)
    guard !decoded.isEmpty else { return nil }
    func forwards(_ run: KeyPath<DecodePair, DecodeRun>) -> Int {
      decoded.reduce(0) { $0 + $1[keyPath: run].forwards }
    }
    func tokens(_ run: KeyPath<DecodePair, DecodeRun>) -> Int {
      decoded.reduce(0) { $0 + $1[keyPath: run].tokens.count }
    }
    func published(_ run: KeyPath<DecodePair, DecodeRun>) -> Double? {
      let values = decoded.compactMap { $0[keyPath: run].publishedTokensPerForward }
      return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
    prompts = decoded.count
    exactOutputs = decoded.count { $0.isExact }
    referenceForwards = forwards(\.reference)
    candidateForwards = forwards(\.candidate)
    referenceTokensPerForward = Double(tokens(\.reference)) / Double(max(1, referenceForwards))
    candidateTokensPerForward = Double(tokens(\.candidate)) / Double(max(1, candidateForwards))
    referencePublished = published(\.reference)
    candidatePublished = published(\.candidate)
    let distances = decoded.map { pair in
      Double(pair.editDistance)
        / Double(max(1, pair.reference.tokens.count, pair.candidate.tokens.count))
    }
    meanEditDistance = distances.reduce(0, +) / Double(decoded.count)
    let divergences = decoded.compactMap { $0.firstDivergence.map { Float($0) } }
    medianFirstDivergence = Percentiles(divergences)?.median
    answers = Answers(decoded)
    replay = ReplaySummary(pairs.flatMap(\.replay), settings: settings.decoding)
    // The pairs' own first flips carry their tokens as text.
    if let first = pairs.lazy.compactMap(\.firstFlip).first { replay?.firstFlip = first }
    divergenceCauses = Self.causes(pairs)
    replayedDecisions = replay?.kinds.reduce(0) { $0 + $1.value.decisions } ?? 0
    flippedDecisions = replay?.kinds.reduce(0) { $0 + $1.value.flips } ?? 0
  }
}

extension DecodeSummary {
  /// The first flip along the reference's trajectory is where a free run leaves it.
  private static func causes(_ pairs: [PairEvidence]) -> NamedList<Int> {
    let kinds = pairs.filter { $0.decode?.isExact == false }.map { pair in
      ReplaySummary.FirstFlip(pair.replay)?.kind ?? "none"
    }
    let names = ReplayDecision.Kind.allCases.map(\.name) + ["none"]
    return NamedList(
      names.compactMap { name in
        let count = kinds.count { $0 == name }
        return count > 0 ? (name, count) : nil
      })
  }
}

extension DecodeSummary.Answers {
  init?(_ decoded: [DecodePair]) {
    let judged = decoded.compactMap { pair in pair.expectedAnswer.map { (pair, $0) } }
    guard !judged.isEmpty else { return nil }
    func answer(_ run: DecodeRun) -> String? { FinalAnswer.extract(run.text) }
    pairs = judged.count
    agree = judged.count { answer($0.0.reference) == answer($0.0.candidate) }
    referenceCorrect = judged.count { answer($0.0.reference) == $0.1 }
    candidateCorrect = judged.count { answer($0.0.candidate) == $0.1 }
  }
}
