import ArgumentParser
import Bytes
import Foundation
import Parity

/// What the candidate must keep: defaults by its scheme, a policy file, single limits on top.
struct LimitOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp("JSON file of limits, such as {\"max_kl\": 0.01}.", valueName: "file"))
  var policy: String?
  @Option(name: .long, help: "Largest mean KL divergence of any head, in nats.")
  var maxKl: Double?
  @Option(name: .long, help: "Smallest top-1 agreement of any head, 0 to 1.") var minTop1: Double?
  @Option(name: .long, help: "Largest relative increase of perplexity; 0.01 is one percent.")
  var maxPplIncrease: Double?
  @Option(name: .long, help: "Smallest share of equal free-running outputs, 0 to 1.")
  var minExact: Double?

  func policy(for inputs: ParityInputs) throws -> ParityPolicy {
    var result = ParityPolicy.defaults(for: Self.candidateClass(inputs))
    if let policy {
      guard let data = FileManager.default.contents(atPath: policy) else {
        throw IngotError("policy.open", "cannot be read", path: policy)
      }
      do throws(IngotError) {
        result = try ParityPolicy(json: [UInt8](data), name: policy, over: result)
      } catch { throw error.inFile(policy) }
    }
    if let maxKl { result.maximumDivergence = maxKl }
    if let minTop1 { result.minimumTopOne = minTop1 }
    if let maxPplIncrease { result.maximumPerplexityIncrease = maxPplIncrease }
    if let minExact { result.minimumExact = minExact }
    try result.check()
    return result
  }

  /// What the candidate's tensors say it gave up against the reference's.
  private static func candidateClass(_ inputs: ParityInputs) -> ParityPolicy.CandidateClass {
    let types = inputs.candidate.types
    if types.contains(where: { $0.hasPrefix("int4") || $0.hasPrefix("cb4") }) { return .fourBit }
    if types.contains(where: { $0.hasPrefix("int8") }) { return .int8 }
    return Set(types) == Set(inputs.reference.types) ? .lossless : .half
  }
}
