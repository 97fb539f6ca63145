import Bytes
import Parity
import Testing

@Suite struct DocumentTests {
  private static func evidence(_ shard: Shard? = nil) -> ParityEvidence {
    var synthetic = SyntheticEvidence(noise: 0.3, pairs: 7)
    return synthetic.evidence(shard: shard)
  }

  private func json(_ evidence: ParityEvidence) throws -> [UInt8] {
    try ParityDocument.evidence(evidence).json(.compact)
  }

  private func report(_ evidence: ParityEvidence) -> ParityReport {
    ParityReport(evidence: evidence, policy: .defaults(for: .int8))
  }

  @Test func evidenceAndReportSurviveTheRoundTrip() throws {
    let evidence = Self.evidence()
    guard case .evidence(let read) = try ParityDocument(json: json(evidence)) else {
      Issue.record("not evidence")
      return
    }
    #expect(read == evidence)
    let report = report(evidence)
    let bytes = try ParityDocument.report(report).json()
    guard case .report(let again) = try ParityDocument(json: bytes) else {
      Issue.record("not a report")
      return
    }
    #expect(again == report)
    #expect(try ParityDocument.report(again).json() == bytes)
  }

  @Test func shardsMergeToTheBytesOfOneRunInAnyOrder() throws {
    let shards = try (1...3).map { index in
      let part = Self.evidence(Shard(index: index, count: 3))
      guard case .evidence(let read) = try ParityDocument(json: json(part)) else {
        throw IngotError("test", "not evidence")
      }
      return read
    }
    var whole = Self.evidence()
    whole.run.seconds *= 3
    let expected = try ParityDocument.report(report(whole)).json()
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
      let merged = try ParityEvidence.merged(order.map { shards[$0] })
      #expect(try ParityDocument.report(report(merged)).json() == expected)
    }
  }

  @Test func shardsThatDoNotBelongTogetherAreRefused() throws {
    let parts = (1...3).map { Self.evidence(Shard(index: $0, count: 3)) }
    func code(_ parts: [ParityEvidence]) -> String? {
      do throws(IngotError) {
        _ = try ParityEvidence.merged(parts)
        return nil
      } catch { return error.code }
    }
    var other = parts[2]
    other.inputs.seed = 8
    #expect(code([]) == "report.mergeNothing")
    #expect(code([parts[0], parts[1]]) == "report.mergeIncomplete")
    #expect(code([parts[0], parts[1], parts[1]]) == "report.mergeIncomplete")
    #expect(code(parts + [parts[1]]) == "report.mergeOverlap")
    #expect(code([parts[0], parts[1], other]) == "report.mergeDifferent")
    #expect(code([Self.evidence(), parts[0]]) == "report.mergeDifferent")
    #expect(code(parts) == nil)
  }

  @Test func theFixedKeysAreThere() throws {
    let value = try JSONValue(encoding: report(Self.evidence()))
    let root = try #require(value.object)
    #expect(["pass", "fail", "undecided"].contains(root["verdict"]?.string))
    #expect(root["reasons"]?.array != nil)
    for head in ["causal", "masked", "autoregressive"] {
      let entry = try #require(root["heads"]?.object?[head]?.object)
      #expect(entry["positions"]?.integer != nil)
      for key in ["mean", "median", "p90", "p95", "p99", "p999", "max"] {
        #expect(entry["kl"]?.object?[key]?.number != nil, "\(key)")
      }
      for key in [
        "top1_agreement", "top5_agreement", "nll_reference", "nll_candidate", "nll_difference",
        "nll_standard_error",
      ] { #expect(entry[key]?.number != nil, "\(key)") }
    }
    let decode = try #require(root["decode"]?.object)
    for key in [
      "prompts", "exact_outputs", "tokens_per_forward_reference", "tokens_per_forward_candidate",
      "replayed_decisions", "flipped_decisions",
    ] { #expect(decode[key]?.number != nil, "\(key)") }
    let inputs = try #require(root["inputs"]?.object)
    for key in ["reference_sha256", "candidate_sha256", "pairs_sha256"] {
      #expect(inputs[key]?.string?.count == 64, "\(key)")
    }
    #expect(inputs["settings"]?.object != nil)
    #expect(inputs["seed"]?.integer == 7)
  }

  @Test(arguments: [
    "{}", "[]", #"{"format":"ingot.parity-report"}"#, #"{"format":"ingot.parity-evidence"}"#,
    #"{"format":"ingot.parity-report","verdict":"maybe"}"#, #"{"format":7}"#,
  ])
  func whatIsNoReportIsRefused(text: String) {
    let error = #expect(throws: IngotError.self) { try ParityDocument(json: Array(text.utf8)) }
    #expect(error?.code == "report.malformed")
  }

  /// Every byte of a shard replaced, a sample of them: refused or read, never a trap.
  @Test func damagedShardsNeverTrap() throws {
    let bytes = try json(Self.evidence(Shard(index: 2, count: 7)))
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<100 {
      var damaged = bytes
      damaged[generator.index(below: bytes.count)] = UInt8(generator.index(below: 128))
      if case .evidence(let read) = try? ParityDocument(json: damaged) {
        _ = ParityReport(evidence: read, policy: .defaults(for: .int8))
      }
    }
  }
}

@Suite struct ShardTests {
  @Test func parsesOnlyWhatItMeans() {
    #expect(Shard("3/8") == Shard(index: 3, count: 8))
    for text in ["0/8", "9/8", "3", "3/8/1", "", "/", "-1/2", "1/0", "a/b"] {
      #expect(Shard(text) == nil, "\(text)")
    }
  }

  @Test func everyPairIsInExactlyOneShard() throws {
    let shards = try (1...5).map { try #require(Shard(index: $0, count: 5)) }
    for pair in 0..<23 { #expect(shards.count { $0.contains(pair: pair) } == 1) }
  }
}
