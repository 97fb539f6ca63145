package import Bytes

/// A part of the pairs for one job of several: every `count`-th pair from `index` on, so that long
/// and short pairs spread evenly.
package struct Shard: Sendable, Hashable, Codable {
  /// 1…count, as in `--shard 3/8`.
  package let index: Int
  package let count: Int

  /// Nil unless 1 ≤ index ≤ count.
  package init?(index: Int, count: Int) {
    guard count >= 1, (1...count).contains(index) else { return nil }
    self.index = index
    self.count = count
  }

  /// Parses `3/8`; nil for anything else.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let index = Int(parts[0]), let count = Int(parts[1]) else { return nil }
    self.init(index: index, count: count)
  }

  package init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let shard = Shard(text) else {
      throw IngotError("report.shard", "names an impossible shard, \(text.prefix(40))")
    }
    self = shard
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  package func contains(pair: Int) -> Bool { pair % count == index - 1 }
}

extension Shard: CustomStringConvertible {
  package var description: String { "\(index)/\(count)" }
}

extension ParityEvidence {
  /// Puts the shards of one verification together again.
  ///
  /// - Throws: `report.merge…` when shards belong to different verifications, overlap, or one of
  ///   them is missing.
  package static func merged(_ shards: [ParityEvidence]) throws(IngotError) -> ParityEvidence {
    let parts = shards.sorted { ($0.shard?.index ?? 0) < ($1.shard?.index ?? 0) }
    guard let first = parts.first else {
      throw IngotError("report.mergeNothing", "there is no shard to merge")
    }
    // Paths may differ: the jobs of an array see the same files in other places.
    for part in parts.dropFirst() where !part.inputs.isSameVerification(as: first.inputs) {
      throw IngotError(
        "report.mergeDifferent",
        "shards belong to different verifications: \(difference(first.inputs, part.inputs))",
        advice: "Run every shard with the same models, pairs, settings and seed.")
    }
    try checkComplete(parts.map(\.shard))
    var pairs: [Int: PairEvidence] = [:]
    for pair in parts.flatMap(\.pairs) {
      guard pairs.updateValue(pair, forKey: pair.index) == nil else {
        throw IngotError("report.mergeOverlap", "pair \(pair.index) is in two shards")
      }
    }
    var run = first.run
    run.seconds = parts.reduce(0) { $0 + $1.run.seconds }
    run.modelSeconds = parts.reduce(0) { $0 + $1.run.modelSeconds }
    run.stoppedEarly = parts.contains { $0.run.stoppedEarly }
    return ParityEvidence(
      inputs: first.inputs, pairs: Array(pairs.values),
      attribution: parts.lazy.compactMap(\.attribution).first,
      damagedTensors: first.damagedTensors, run: run)
  }

  /// Every shard of the same division, once.
  private static func checkComplete(_ shards: [Shard?]) throws(IngotError) {
    let known = shards.compactMap { $0 }
    guard known.count == shards.count, let count = known.first?.count,
      known.allSatisfy({ $0.count == count })
    else {
      throw IngotError(
        "report.mergeDifferent", "these files are not shards of one division",
        advice: "Merge files written with --shard 1/N … N/N, all with the same N.")
    }
    let missing = Set(1...count).subtracting(known.map(\.index)).sorted()
    guard missing.isEmpty else {
      let names = missing.prefix(8).map { "\($0)/\(count)" }.joined(separator: ", ")
      throw IngotError("report.mergeIncomplete", "missing shards: \(names)")
    }
    guard known.count == count else {
      throw IngotError("report.mergeOverlap", "the same shard was given twice")
    }
  }

  private static func difference(_ a: ParityInputs, _ b: ParityInputs) -> String {
    if a.referenceDigest != b.referenceDigest { return "the references' hashes differ" }
    if a.candidateDigest != b.candidateDigest { return "the candidates' hashes differ" }
    if a.pairsDigest != b.pairsDigest { return "the pairs' hashes differ" }
    if a.seed != b.seed { return "the seeds differ (\(a.seed), \(b.seed))" }
    return a.settings == b.settings ? "they judge different candidates" : "the settings differ"
  }
}
