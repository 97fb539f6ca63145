package import Bytes

/// Whether a report is what it claims to be: unedited, about certain files, and consistent.
package enum ParityAudit {
  /// Reads a report and derives again what follows from its own figures.
  ///
  /// - Throws: `report.malformed` and the reader's errors; `report.edited` when its hash differs;
  ///   `report.settings` when settings and seed do not have theirs; `report.inconsistent` when
  ///   intervals, totals or the verdict do not follow from the figures.
  package static func read(_ bytes: [UInt8]) throws(IngotError) -> ParityReport {
    guard case .report(let report) = try ParityDocument(json: bytes) else {
      throw IngotError(
        "report.shard", "is a shard, not a finished report",
        advice: "Merge the shards first: ingot verify --merge FILES --json report.json")
    }
    guard ReportSeal.isIntact(try JSONValue(parsing: bytes)) else {
      throw IngotError(
        "report.edited", "was edited after it was written: its \(ReportSeal.key) does not match",
        advice: "Write it anew with `ingot verify --json`.")
    }
    let digest = ParityInputs.digest(settings: report.inputs.settings, seed: report.inputs.seed)
    guard digest == report.inputs.settingsDigest else {
      throw IngotError(
        "report.settings", "settings or seed do not have the hash recorded with them",
        advice: "Write it anew with `ingot verify --json`.")
    }
    try checkRanges(report)
    try checkTotals(report)
    try checkVerdict(report)
    return report
  }

  /// What is looped over or divided by below is bounded here, once.
  private static func checkRanges(_ report: ParityReport) throws(IngotError) {
    try report.policy.check()
    try report.inputs.settings.check()
    guard report.likelihood.allSatisfy({ $0.value.confidence > 0.5 && $0.value.confidence < 1 })
    else { throw inconsistent("the confidence of an interval does") }
  }

  // MARK: What follows from the pairs

  private static func inconsistent(_ what: String) -> IngotError {
    IngotError(
      "report.inconsistent", "\(what) not follow from the figures in it",
      advice: "Write it anew with `ingot verify --json`.")
  }

  private static func checkTotals(_ report: ParityReport) throws(IngotError) {
    for entry in report.likelihood {
      let again = ParityReport.likelihoods(
        report.pairs.map(\.likelihood), seed: report.inputs.seed,
        confidence: entry.value.confidence, resamples: report.policy.resamples)
      guard again[entry.name] == entry.value else {
        throw inconsistent("the likelihood \(entry.name.prefix(40)) does")
      }
    }
    for entry in report.heads {
      try check(entry.name, entry.value, report.pairs)
    }
    if let decode = report.decode { try check(decode, report.pairs) }
  }

  private static func check(
    _ name: String, _ head: HeadSummary, _ pairs: [PairSummary]
  ) throws(IngotError) {
    var sum = 0.0
    var positions = 0
    var agreements = 0
    var largest = 0.0
    for pair in pairs {
      guard let own = pair.heads[name], let mean = pair.divergence[name] else { continue }
      let (count, overflow) = positions.addingReportingOverflow(own.positions)
      guard !overflow, own.positions >= 0 else { throw inconsistent("the positions of a pair do") }
      positions = count
      agreements = agreements &+ own.topOneAgreements
      sum += mean * Double(own.positions)
      largest = max(largest, own.maximumDivergence)
    }
    let mean = sum / Double(max(1, positions))
    // The same numbers summed in another order: a few roundings of a double.
    let isEqual =
      positions == head.positions &- head.nonFinitePositions
      && abs(mean - head.divergence.mean) <= 1e-9 * max(mean, head.divergence.mean)
      && Double(agreements) / Double(max(1, positions)) == head.topOneAgreement
      && largest == head.divergence.max
    guard isEqual else { throw inconsistent("the figures of the \(name.prefix(40)) head do") }
  }

  private static func check(
    _ decode: DecodeSummary, _ pairs: [PairSummary]
  ) throws(IngotError) {
    func sum(_ member: KeyPath<PairSummary, Int?>) -> Int {
      pairs.reduce(0) { $0 &+ ($1[keyPath: member] ?? 0) }
    }
    guard decode.prompts == pairs.count(where: { $0.isExact != nil }),
      decode.exactOutputs == pairs.count(where: { $0.isExact == true }),
      decode.referenceForwards == sum(\.referenceForwards),
      decode.candidateForwards == sum(\.candidateForwards),
      decode.replayedDecisions == sum(\.decisions), decode.flippedDecisions == sum(\.flips)
    else { throw inconsistent("the decoding figures do") }
  }

  private static func checkVerdict(_ report: ParityReport) throws(IngotError) {
    var again = report
    again.judge()
    guard again.verdict == report.verdict, again.checks == report.checks,
      again.reasons == report.reasons
    else { throw inconsistent("verdict and checks do") }
  }

  // MARK: The files

  /// The error for a file that is not the one the report is about.
  package static func changed(_ role: String, recorded: String, found: String) -> IngotError {
    IngotError(
      "report.changed",
      "is not the \(role) of the report: its SHA-256 is \(found), the report's is "
        + "\(recorded.prefix(64))",
      advice: "Give the right file with --\(role), or verify again.")
  }

  /// Demands that a report is about these files.
  ///
  /// - Throws: `report.changed` for the first file that has another hash.
  package static func compare(
    _ recorded: ParityInputs, with found: ParityInputs
  ) throws(IngotError) {
    for (role, path, a, b) in [
      ("reference", found.reference.path, recorded.referenceDigest, found.referenceDigest),
      ("candidate", found.candidate.path, recorded.candidateDigest, found.candidateDigest),
      ("pairs", found.pairsPath, recorded.pairsDigest, found.pairsDigest),
    ] where a != b { throw changed(role, recorded: a, found: b).inFile(path) }
    guard recorded.settings == found.settings, recorded.candidateClass == found.candidateClass
    else { throw inconsistent("settings or candidate class do") }
  }

  // MARK: Pairs derived again

  /// What differs between a pair's figures in a report and the same figures derived again.
  ///
  /// - Parameter tolerance: relative; 0 demands equal numbers.
  /// - Returns: one sentence per figure.
  package static func differences(
    _ recorded: PairSummary, _ again: PairSummary, tolerance: Double
  ) throws(IngotError) -> [String] {
    var found: [String] = []
    compare(
      try JSONValue(encoding: recorded), try JSONValue(encoding: again),
      at: "pair \(recorded.index)", tolerance, &found)
    return found
  }

  private static func compare(
    _ a: JSONValue?, _ b: JSONValue?, at path: String, _ tolerance: Double,
    _ found: inout [String]
  ) {
    if let a = a?.object, let b = b?.object {
      for name in Set(a.map(\.name) + b.map(\.name)).sorted() {
        compare(a[name], b[name], at: "\(path), \(name)", tolerance, &found)
      }
      return
    }
    guard a != b else { return }
    if let x = a?.number, let y = b?.number, abs(x - y) <= tolerance * max(abs(x), abs(y)) {
      return
    }
    func text(_ value: JSONValue?) -> String {
      value.map { String(decoding: $0.serialized(.compact).prefix(80), as: UTF8.self) }
        ?? "absent"
    }
    found.append("\(path): the report says \(text(a)), derived again it is \(text(b))")
  }
}
