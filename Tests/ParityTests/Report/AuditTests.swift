import Bytes
import Parity
import Testing

@Suite struct AuditTests {
  private func report(noise: Float = 0.3) -> ParityReport {
    var synthetic = SyntheticEvidence(noise: noise, pairs: 9)
    return ParityReport(evidence: synthetic.evidence(), policy: .defaults(for: .fourBit))
  }

  private func code(_ bytes: [UInt8]) -> String? {
    do throws(IngotError) {
      _ = try ParityAudit.read(bytes)
      return nil
    } catch { return error.code }
  }

  @Test func aReportAsWrittenIsRead() throws {
    let report = report()
    let bytes = try ParityDocument.report(report).json()
    #expect(try ParityAudit.read(bytes) == report)
    // Spacing is not content.
    #expect(try code(ParityDocument.report(report).json(.compact)) == nil)
  }

  /// Every digit of the document replaced, a sample of them: always noticed.
  @Test func everyChangedDigitIsNoticed() throws {
    let bytes = try ParityDocument.report(report()).json()
    let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<60 {
      var changed = bytes
      let place = digits[generator.index(below: digits.count)]
      changed[place] = changed[place] == 0x31 ? 0x32 : 0x31
      #expect(changed == bytes || code(changed) != nil, "at byte \(place)")
    }
  }

  /// What is sealed again after an edit contradicts itself.
  @Test func resealedEditsContradictTheirPairs() throws {
    func code(_ change: (inout ParityReport) -> Void) throws -> String? {
      var changed = report()
      change(&changed)
      return try self.code(ParityDocument.report(changed).json())
    }
    #expect(try code { _ in } == nil)
    #expect(try code { $0.verdict = .pass } == "report.inconsistent")
    #expect(try code { $0.reasons = ["All is well."] } == "report.inconsistent")
    #expect(try code { $0.policy.maximumDivergence = 99 } == "report.inconsistent")
    #expect(try code { $0.inputs.seed = 8 } == "report.settings")
    #expect(try code { $0.inputs.settings.objectiveDraws = 9 } == "report.settings")
    #expect(try code { $0.decode?.exactOutputs += 1 } == "report.inconsistent")
    #expect(try code { $0.decode?.flippedDecisions = 0 } == "report.inconsistent")
    #expect(try code { $0.pairs.removeLast() } == "report.inconsistent")
    #expect(
      try code { $0.pairs[3].heads = NamedList() } == "report.inconsistent")
  }

  /// Values that would overflow, loop for ever or divide by zero, with hashes that fit.
  @Test func impossibleValuesAreRefused() throws {
    func code(_ change: (inout ParityReport) -> Void) throws -> String? {
      var changed = report()
      change(&changed)
      changed.inputs.settingsDigest = ParityInputs.digest(
        settings: changed.inputs.settings, seed: changed.inputs.seed)
      return try self.code(ParityDocument.report(changed).json())
    }
    #expect(try code { $0.policy.resamples = .max } == "policy.range")
    #expect(try code { $0.policy.maximumPerplexityIncrease = -2 } == "policy.range")
    #expect(try code { $0.inputs.settings.slotSizes = [0] } == "report.settings")
    #expect(try code { $0.inputs.settings.objectiveDraws = -1 } == "report.settings")
    #expect(try code { $0.inputs.settings.limit = -1 } == "report.settings")
    #expect(try code { $0.inputs.settings.decodePairs = -1 } == "report.settings")
    for count in [Int.min, .max, -1] {
      let inHead = try code { report in
        report.pairs[0].heads = Self.changed(report.pairs[0].heads) { $0.positions = count }
      }
      let inTotals = try code { report in
        report.heads = Self.changed(report.heads) { $0.nonFinitePositions = count }
      }
      let inLikelihood = try code { report in
        report.likelihood = Self.changed(report.likelihood) { $0.pairs = count }
      }
      #expect([inHead, inTotals, inLikelihood].allSatisfy { $0 == "report.inconsistent" })
    }
  }

  private static func changed<Value>(
    _ list: NamedList<Value>, _ change: (inout Value) -> Void
  ) -> NamedList<Value> {
    NamedList(
      list.map { entry in
        var value = entry.value
        change(&value)
        return (entry.name, value)
      })
  }

  @Test func shardsAreNoReports() throws {
    var synthetic = SyntheticEvidence(noise: 0.1, pairs: 3)
    let bytes = try ParityDocument.evidence(synthetic.evidence(shard: Shard(index: 1, count: 2)))
      .json()
    #expect(code(bytes) == "report.shard")
  }

  @Test func differencesNameTheFigure() throws {
    let pair = report().pairs[2]
    #expect(try ParityAudit.differences(pair, pair, tolerance: 0) == [])
    var other = pair
    other.editDistance = (pair.editDistance ?? 0) + 1
    let found = try ParityAudit.differences(pair, other, tolerance: 1e-5)
    #expect(found.count == 1)
    #expect(found.first?.hasPrefix("pair 2, edit_distance: the report says") == true)
    var near = pair
    near.divergence = NamedList(pair.divergence.map { ($0.name, $0.value * (1 + 1e-7)) })
    #expect(try ParityAudit.differences(pair, near, tolerance: 1e-5) == [])
    #expect(try !ParityAudit.differences(pair, near, tolerance: 0).isEmpty)
  }
}
