/// The answer of a verification.
package enum ParityVerdict: String, Sendable, Codable, CaseIterable {
  case pass
  case fail
  /// Not enough data to say either.
  case undecided
}

/// One limit held against what was observed.
package struct ParityCheck: Sendable, Equatable, Codable {
  /// The limit's name in a policy (`max_kl`), or what was checked besides.
  package var name: String
  /// The head, metric or tensor it is about.
  package var scope: String
  package var observed: Double?
  package var limit: Double?
  package var outcome: ParityVerdict
  /// One sentence with figure and limit.
  package var explanation: String
  /// Pairs that would settle an undecided outcome.
  package var pairsNeeded: Int?

  package init(
    name: String, scope: String, observed: Double? = nil, limit: Double? = nil,
    outcome: ParityVerdict, explanation: String, pairsNeeded: Int? = nil
  ) {
    self.name = name
    self.scope = scope
    self.observed = observed
    self.limit = limit
    self.outcome = outcome
    self.explanation = explanation
    self.pairsNeeded = pairsNeeded
  }

  enum CodingKeys: String, CodingKey {
    case name, scope, observed, limit, outcome, explanation
    case pairsNeeded = "pairs_needed"
  }
}

extension [ParityCheck] {
  /// A failure outweighs doubt, and doubt outweighs any number of passes.
  package var verdict: ParityVerdict {
    if contains(where: { $0.outcome == .fail }) { return .fail }
    if isEmpty || contains(where: { $0.outcome == .undecided }) { return .undecided }
    return .pass
  }

  /// What to tell first: the sentences of the checks that decided.
  package var reasons: [String] {
    if isEmpty { return ["Nothing was compared."] }
    let verdict = verdict
    return filter { $0.outcome == verdict }.map(\.explanation)
  }
}
