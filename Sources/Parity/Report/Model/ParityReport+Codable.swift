extension ParityReport: Codable {
  /// The `format` member of the JSON.
  package static let format = "ingot.parity-report"

  private enum CodingKeys: String, CodingKey {
    case format, verdict, reasons, heads, likelihood, decode, inputs, checks, policy, attribution
    case histograms = "kl_histograms"
    case splits
    case worst = "worst_positions"
    case examples, pairs, run
    case damagedTensors = "damaged_tensors"
    case nonFinitePositions = "non_finite_positions"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    guard try container.decode(String.self, forKey: .format) == Self.format else {
      throw DecodingError.dataCorruptedError(
        forKey: .format, in: container, debugDescription: "is not \(Self.format)")
    }
    verdict = try container.decode(ParityVerdict.self, forKey: .verdict)
    reasons = try container.decode([String].self, forKey: .reasons)
    checks = try container.decode([ParityCheck].self, forKey: .checks)
    policy = try container.decode(ParityPolicy.self, forKey: .policy)
    heads = try container.decode(NamedList<HeadSummary>.self, forKey: .heads)
    likelihood = try container.decode(NamedList<LikelihoodSummary>.self, forKey: .likelihood)
    histograms = try container.decode(NamedList<DivergenceHistogram>.self, forKey: .histograms)
    splits = try container.decode([DistributionSplit].self, forKey: .splits)
    decode = try container.decodeIfPresent(DecodeSummary.self, forKey: .decode)
    attribution = try container.decodeIfPresent(Attribution.self, forKey: .attribution)
    nonFinitePositions = try container.decode(Int.self, forKey: .nonFinitePositions)
    damagedTensors = try container.decode([String].self, forKey: .damagedTensors)
    worst = try container.decode([WorstPosition].self, forKey: .worst)
    examples = try container.decode([DecodeExample].self, forKey: .examples)
    pairs = try container.decode([PairSummary].self, forKey: .pairs)
    inputs = try container.decode(ParityInputs.self, forKey: .inputs)
    run = try container.decode(RunInformation.self, forKey: .run)
  }

  /// Members in the order people read them: verdict, figures, inputs, then the details.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.format, forKey: .format)
    try container.encode(verdict, forKey: .verdict)
    try container.encode(reasons, forKey: .reasons)
    try container.encode(heads, forKey: .heads)
    try container.encode(likelihood, forKey: .likelihood)
    try container.encodeIfPresent(decode, forKey: .decode)
    try container.encode(inputs, forKey: .inputs)
    try container.encode(policy, forKey: .policy)
    try container.encode(checks, forKey: .checks)
    try container.encodeIfPresent(attribution, forKey: .attribution)
    try container.encode(damagedTensors, forKey: .damagedTensors)
    try container.encode(nonFinitePositions, forKey: .nonFinitePositions)
    try container.encode(run, forKey: .run)
    try container.encode(splits, forKey: .splits)
    try container.encode(histograms, forKey: .histograms)
    try container.encode(worst, forKey: .worst)
    try container.encode(pairs, forKey: .pairs)
    try container.encode(examples, forKey: .examples)
  }
}
