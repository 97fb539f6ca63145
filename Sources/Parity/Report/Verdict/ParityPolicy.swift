package import Bytes

/// What a candidate has to keep to be deployed. A limit that is nil is not checked.
package struct ParityPolicy: Sendable, Equatable, Codable {
  /// Where the limits come from: `defaults for int8`, or the policy file's name.
  package var name: String
  /// Largest mean KL(reference ‖ candidate) of any head, in nats.
  package var maximumDivergence: Double?
  /// Largest 99th percentile of the same.
  package var maximumTailDivergence: Double?
  /// Smallest top-1 agreement of any head, 0…1.
  package var minimumTopOne: Double?
  /// Largest relative increase of causal and slot perplexity: 0.01 is one percent.
  package var maximumPerplexityIncrease: Double?
  /// Smallest share of free-running outputs that are equal, 0…1.
  package var minimumExact: Double?
  /// Largest share of replayed decisions that flip, 0…1.
  package var maximumFlips: Double?
  /// Of the interval that the perplexity's increase is judged by.
  package var confidence: Double
  package var resamples: Int

  package init(
    name: String, maximumDivergence: Double? = nil, maximumTailDivergence: Double? = nil,
    minimumTopOne: Double? = nil, maximumPerplexityIncrease: Double? = nil,
    minimumExact: Double? = nil, maximumFlips: Double? = nil, confidence: Double = 0.95,
    resamples: Int = 2000
  ) {
    self.name = name
    self.maximumDivergence = maximumDivergence
    self.maximumTailDivergence = maximumTailDivergence
    self.minimumTopOne = minimumTopOne
    self.maximumPerplexityIncrease = maximumPerplexityIncrease
    self.minimumExact = minimumExact
    self.maximumFlips = maximumFlips
    self.confidence = confidence
    self.resamples = resamples
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case name
    case maximumDivergence = "max_kl"
    case maximumTailDivergence = "max_kl_p99"
    case minimumTopOne = "min_top1"
    case maximumPerplexityIncrease = "max_ppl_increase"
    case minimumExact = "min_exact"
    case maximumFlips = "max_flips"
    case confidence, resamples
  }
}

extension ParityPolicy {
  /// How much a candidate gave up, which decides what can be asked of it.
  package enum CandidateClass: String, Sendable, CaseIterable, Codable {
    /// The same numbers in another container: nothing may change at all.
    case lossless
    /// Rounded to another 16-bit type.
    case half
    case int8
    /// Fewer than eight bits, or a mix with such weights in it.
    case fourBit = "4-bit"
  }

  /// Limits for a class of candidates, all but one derived from how well an observer may tell the
  /// candidate's text from the reference's.
  ///
  /// KL adds up over tokens (the chain rule), so a slot of k tokens of the candidate is k · KL away
  /// from one of the reference. By Pinsker's inequality no test whatever can tell two such slots
  /// apart with an advantage over guessing above a = √(k · KL / 2). With the longest published slot,
  /// k = 32, an advantage a allows
  ///
  /// * a mean KL of 2a² / 32 a token,
  /// * a KL of 2a² at 99 of 100 tokens: a single token may at most do what a slot does on average,
  /// * 2 · √(KL / 2) = a / √8 of changed decisions, be it the most likely token or a flip of the
  ///   decoder: twice the distance in total variation, since a decision turns on the two sides of it.
  ///
  /// a is 1/64 for another 16-bit type, 1/16 for int8, 1/8 for four bits: mean KL 1.5e-5, 2.4e-4 and
  /// 9.8e-4. Measured on the trained checkpoint (64 GSM8K pairs, causal head): `int8` 8.8e-5 and
  /// `int4` 6.3e-4 pass; four bits everywhere do not: `cb4-g16` 2.7e-3, `int4-g32` 4.0e-3, `int4-g64`
  /// 5.2e-3.
  ///
  /// The increase of perplexity is judged by the upper end of an interval, which a limit as narrow
  /// as the KL's would leave undecided for thousands of pairs. Its limits are those under which a
  /// format counts as lossless (0.5 %) or nearly so (1 %) in practice. Equal outputs are asked of
  /// lossless candidates only: a free run leaves the reference's at the first near-tie, however good
  /// the candidate.
  package static func defaults(for candidate: CandidateClass) -> ParityPolicy {
    let name = "defaults for \(candidate.rawValue) candidates"
    return switch candidate {
    case .lossless:
      ParityPolicy(
        name: name, maximumDivergence: 0, maximumTailDivergence: 0, minimumTopOne: 1,
        maximumPerplexityIncrease: 0, minimumExact: 1, maximumFlips: 0)
    case .half: ParityPolicy(name: name, advantage: 1.0 / 64, maximumPerplexityIncrease: 0.001)
    case .int8: ParityPolicy(name: name, advantage: 1.0 / 16, maximumPerplexityIncrease: 0.005)
    case .fourBit: ParityPolicy(name: name, advantage: 1.0 / 8, maximumPerplexityIncrease: 0.01)
    }
  }

  /// Limits from the advantage a of an observer of 32 tokens; see `defaults(for:)`.
  private init(name: String, advantage: Double, maximumPerplexityIncrease: Double) {
    let changed = advantage / 8.0.squareRoot()
    self.init(
      name: name, maximumDivergence: 2 * advantage * advantage / 32,
      maximumTailDivergence: 2 * advantage * advantage, minimumTopOne: 1 - changed,
      maximumPerplexityIncrease: maximumPerplexityIncrease, maximumFlips: changed)
  }

  /// Reads a policy file: a JSON object of limits by their command-line names
  /// (`{"max_kl": 0.01, "min_top1": 0.98}`), each replacing the default; null switches one off.
  ///
  /// - Throws: `policy.unknown`, `policy.range`, and the reader's errors.
  package init(
    json bytes: [UInt8], name: String, over defaults: ParityPolicy
  ) throws(IngotError) {
    guard let object = try JSONValue(parsing: bytes).object else {
      throw IngotError("policy.type", "a policy is a JSON object of limits")
    }
    self = defaults
    self.name = name
    for member in object { try set(member.name, member.value) }
    try check()
  }

  private mutating func set(_ key: String, _ value: JSONValue) throws(IngotError) {
    guard let key = CodingKeys(rawValue: key) else {
      let known = CodingKeys.allCases.map(\.rawValue).joined(separator: ", ")
      throw IngotError(
        "policy.unknown", "there is no limit named \(key.prefix(60))", advice: "Known: \(known).")
    }
    func number() throws(IngotError) -> Double {
      guard let number = value.number else {
        throw IngotError("policy.type", "\(key.rawValue) is \(value.kindName), not a number")
      }
      return number
    }
    func limit() throws(IngotError) -> Double? { value.isNull ? nil : try number() }
    switch key {
    case .name:
      guard let text = value.string else {
        throw IngotError("policy.type", "name is \(value.kindName), not a string")
      }
      name = text
    case .maximumDivergence: maximumDivergence = try limit()
    case .maximumTailDivergence: maximumTailDivergence = try limit()
    case .minimumTopOne: minimumTopOne = try limit()
    case .maximumPerplexityIncrease: maximumPerplexityIncrease = try limit()
    case .minimumExact: minimumExact = try limit()
    case .maximumFlips: maximumFlips = try limit()
    case .confidence: confidence = try number()
    case .resamples:
      guard let count = value.integer else {
        throw IngotError("policy.type", "resamples is \(value.kindName), not an integer")
      }
      resamples = count
    }
  }

  /// - Throws: `policy.range` for a limit that makes no sense; also for limits from options.
  package func check() throws(IngotError) {
    func require(_ condition: Bool, _ key: CodingKeys, _ range: String) throws(IngotError) {
      guard condition else {
        throw IngotError("policy.range", "\(key.rawValue) is outside \(range)")
      }
    }
    for (key, value) in [
      (CodingKeys.minimumTopOne, minimumTopOne), (.minimumExact, minimumExact),
      (.maximumFlips, maximumFlips),
    ] {
      try require((0...1).contains(value ?? 0), key, "0…1 (it is a share)")
    }
    for (key, value) in [
      (CodingKeys.maximumDivergence, maximumDivergence),
      (.maximumTailDivergence, maximumTailDivergence),
      (.maximumPerplexityIncrease, maximumPerplexityIncrease),
    ] {
      try require((0...1e6).contains(value ?? 0), key, "0…1e6")
    }
    try require(confidence > 0.5 && confidence < 1, .confidence, "0.5…1")
    try require((200...100_000).contains(resamples), .resamples, "200…100000")
  }
}
