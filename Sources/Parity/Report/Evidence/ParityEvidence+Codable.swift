extension ParityEvidence: Codable {
  /// The `format` of a shard file; `ParityReport.format` is the other one.
  package static let format = "ingot.parity-evidence"

  private enum CodingKeys: String, CodingKey {
    case format, inputs, shard, run, pairs, attribution
    case damagedTensors = "damaged_tensors"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let format = try container.decode(String.self, forKey: .format)
    guard format == Self.format else {
      throw DecodingError.dataCorruptedError(
        forKey: .format, in: container, debugDescription: "is not \(Self.format)")
    }
    self.init(
      inputs: try container.decode(ParityInputs.self, forKey: .inputs),
      pairs: try container.decode([PairEvidence].self, forKey: .pairs),
      attribution: try container.decodeIfPresent(Attribution.self, forKey: .attribution),
      damagedTensors: try container.decode([String].self, forKey: .damagedTensors),
      run: try container.decode(RunInformation.self, forKey: .run),
      shard: try container.decodeIfPresent(Shard.self, forKey: .shard))
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.format, forKey: .format)
    try container.encode(inputs, forKey: .inputs)
    try container.encodeIfPresent(shard, forKey: .shard)
    try container.encode(run, forKey: .run)
    try container.encode(pairs, forKey: .pairs)
    try container.encodeIfPresent(attribution, forKey: .attribution)
    try container.encode(damagedTensors, forKey: .damagedTensors)
  }
}

extension PairEvidence: Codable {
  private enum CodingKeys: String, CodingKey {
    case index, query, positions, likelihoods, decode, replay, worst
    case promptTokens = "prompt_tokens"
    case responseTokens = "response_tokens"
    case firstFlip = "first_flip"
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      index: try container.decode(Int.self, forKey: .index),
      promptTokens: try container.decode(Int.self, forKey: .promptTokens),
      responseTokens: try container.decode(Int.self, forKey: .responseTokens),
      query: try container.decode(String.self, forKey: .query),
      positions: try container.decode(
        PackedRecords<PositionRecord>.self, forKey: .positions
      ).records,
      likelihoods: try container.decode(NamedList<PairedTotal>.self, forKey: .likelihoods),
      decode: try container.decodeIfPresent(DecodePair.self, forKey: .decode),
      replay: try container.decode(PackedRecords<ReplayDecision>.self, forKey: .replay).records,
      firstFlip: try container.decodeIfPresent(
        ReplaySummary.FirstFlip.self, forKey: .firstFlip),
      worst: try container.decode([WorstPosition].self, forKey: .worst))
    let isConsistent =
      index >= 0 && positions.allSatisfy { Int($0.pair) == index }
      && likelihoods.allSatisfy { $0.value.pair == index && $0.value.isPlausible }
      && decode?.isPlausible ?? true
    guard isConsistent else {
      throw DecodingError.dataCorruptedError(
        forKey: .positions, in: container,
        debugDescription: "belong to another pair, or figures are out of range")
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(index, forKey: .index)
    try container.encode(promptTokens, forKey: .promptTokens)
    try container.encode(responseTokens, forKey: .responseTokens)
    try container.encode(query, forKey: .query)
    try container.encode(PackedRecords(positions), forKey: .positions)
    try container.encode(likelihoods, forKey: .likelihoods)
    try container.encodeIfPresent(decode, forKey: .decode)
    try container.encode(PackedRecords(replay), forKey: .replay)
    try container.encodeIfPresent(firstFlip, forKey: .firstFlip)
    try container.encode(worst, forKey: .worst)
  }
}

// Shards are files, and files may be wrong: what is summed or looped over is bounded here once.

extension PairedTotal {
  fileprivate var isPlausible: Bool {
    weight > 0 && weight.isFinite && reference.isFinite && candidate.isFinite
  }
}

extension DecodePair {
  fileprivate var isPlausible: Bool { reference.isPlausible && candidate.isPlausible }
}

extension DecodeRun {
  fileprivate var isPlausible: Bool {
    (0...(1 << 24)).contains(forwards) && tokens.count <= 1 << 16
      && (1...(1 << 16)).contains(timeline.slotSize)
      && timeline.steps.allSatisfy { step in
        (step.slots + step.committed).allSatisfy { (0..<(1 << 16)).contains($0) }
      }
  }
}
