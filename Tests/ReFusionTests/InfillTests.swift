import Foundation
import Kernels
import ModelSupport
import ReFusion
import TestSupport
import Testing

/// Infill of a trained model, whose slots pass, pass in part, end the text or fail.
@Suite struct InfillTests {
  /// Few tokens of each row, with what forwards foretell, against whole rows as the official code computes
  /// them: the same tokens, and the same bits of what one more token makes of the cache that they leave.
  @Test(arguments: [DecodingLookahead.narrow, .wide])
  func fewTokensAreAsGoodAsWholeRows(lookahead: DecodingLookahead) throws {
    let checkpoint = Shared.packageRoot.appendingPathComponent("samples/tiny-refusion").path
    let model = try castModel(checkpoint, recipe: "int8", in: TemporaryFolder())
    let end = Int32(try #require(model.configuration.endOfTextToken))
    let session = InferenceSession(model: model, pool: .shared)
    var iterations = 0
    var overtaken = 0
    var spared = 0
    for seed in 0..<12 {
      // Words of the sample's vocabulary in no order that makes sense.
      let prompt = (0..<10).map { Int32((seed * 7919 + $0 * 104_729) % 800) }
      let shapes: [(size: Int, blocks: Int, slots: Float)] = [
        (8, 1, 0), (8, 2, 0), (16, 1, 0), (16, 2, 0.05), (32, 1, 0), (32, 2, 0.9),
      ]
      for (size, blocks, slots) in shapes {
        let settings = DecodingSettings(
          slotSize: size, blocks: blocks, slotThreshold: slots, tokenThreshold: 0.03,
          maximumTokens: 128)
        let whole = DecodingObserver(decision: {
          guard case .infill(_, let tokens, _, let accepted, _) = $0 else { return }
          iterations += 1
          // A slot that is complete where the few tokens of others that are looked at do not reach its end.
          let reached = accepted.filter { $0 < size }.max() ?? size
          if reached + 3 < size,
            zip(accepted, tokens).contains(where: { $0 == size && !$1.contains(end) })
          {
            overtaken += 1
          }
        })
        var probes: [TokenScore] = []
        var results = try [DecodingObserver(), whole].map { observer in
          var committed = prompt.count
          var observer = observer
          observer.commit = { tokens, _ in committed += tokens.count }
          var decoder = try ReFusionDecoder(
            session: session, settings: settings, observer: observer)
          decoder.lookahead = lookahead
          let result = try decoder.decode(prompt: prompt)
          session.forward(
            .causal(tokens: [3], positions: [Int32(committed)], cacheLength: committed))
          probes.append(session.score(at: [0])[0])
          return result
        }
        #expect(probes[0] == probes[1], "prompt \(seed), slots of \(size), \(blocks) blocks")
        spared += results[0].forwards - results[0].passes
        for index in results.indices { results[index].passes = 0 }
        #expect(results[0] == results[1], "prompt \(seed), slots of \(size), \(blocks) blocks")
      }
    }
    #expect(iterations > 200 && overtaken > 20 && spared + session.repeatCount > iterations / 4)
  }
}
