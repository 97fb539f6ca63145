import Bytes
import Foundation
import Kernels
import ModelSupport
import Parity
import ReFusion
import TestSupport
import Testing

/// Likelihoods the official implementation computes, the slot ones by one forward per slot.
@Suite(.enabled(if: Shared.isPresent, Comment(rawValue: Shared.skipped)))
struct GoldenLikelihoodTests {
  /// The prompts and responses behind `likelihoods.json`, taken from the decode traces' prompts and
  /// the objective cases' clean text.
  private func examples() throws -> [Example] {
    let tokenizer = try GoldenModel.tokenizer()
    let rows = try Golden.array("golden/likelihoods.json", "rows")
    let pairs = try GoldenModel.pairs()
    return try rows.map { row in
      let example = try tokenizer.example(pairs[try row.int("row")])
      #expect(example.prompt.count == (try row.int("prompt_length")))
      #expect(example.response.count == (try row.int("response_length")))
      return example
    }
  }

  @Test func causalAndSlotLikelihoodsMatch() throws {
    let model = try GoldenModel.fullPrecision()
    let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
    let mask = Int32(try #require(model.configuration.maskToken))
    let rows = try Golden.array("golden/likelihoods.json", "rows")
    let examples = try examples()
    let metrics: [(key: String, plan: (Example) -> ScoringPlan)] =
      [("causal_nll", { .causal($0) })]
      + [4, 8, 16, 32].map { size in
        ("slot_nll_k\(size)", { .slots($0, slotSize: size, maskToken: mask) })
      }
    for metric in metrics {
      var ours = 0.0
      var official = 0.0
      var tokens = 0
      for (row, example) in zip(rows, examples) {
        let expected = try row.numbers(metric.key)
        let losses = metric.plan(example).negativeLogLikelihoods(on: session)
        #expect(losses.count == expected.count)
        for (a, b) in zip(losses, expected) { #expect(abs(Double(a) - b) < 2e-3) }
        let mean = losses.reduce(0) { $0 + Double($1) } / Double(losses.count)
        #expect(abs(mean - expected.reduce(0, +) / Double(expected.count)) < 2e-4)
        ours += losses.reduce(0) { $0 + Double($1) }
        official += expected.reduce(0, +)
        tokens += losses.count
      }
      let perplexities = [ours, official].map { String(format: "%.3e", exp($0 / Double(tokens))) }
      print("\(metric.key): perplexity \(perplexities[0]), official \(perplexities[1])")
      #expect(perplexities[0] == perplexities[1])
    }
  }

  /// The one-forward slot likelihood against its definition: a forward for each slot.
  @Test func oneForwardEqualsManyForwards() throws {
    let model = try GoldenModel.fullPrecision()
    let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
    let mask = Int32(try #require(model.configuration.maskToken))
    for example in try examples().prefix(4) {
      for size in [4, 32] {
        let forwards = session.forwardCount
        let once = ScoringPlan.slots(example, slotSize: size, maskToken: mask)
          .negativeLogLikelihoods(on: session)
        #expect(session.forwardCount == forwards + 1)
        var many: [Float] = []
        for start in stride(from: 0, to: example.response.count, by: size) {
          let known = example.prompt + example.response[..<start]
          let slot = example.response[start..<min(start + size, example.response.count)]
          let context = known + [mask]
          session.forward(
            .causal(
              tokens: context, positions: context.indices.map { Int32($0) }, cacheLength: 0))
          many.append(-session.score(at: [known.count], targets: [slot.first!])[0].logProbability)
          let text = known + slot
          session.forward(
            .causal(tokens: text, positions: text.indices.map { Int32($0) }, cacheLength: 0))
          let inputs = (known.count..<(text.count - 1)).map { $0 }
          many += session.score(at: inputs, targets: Array(slot.dropFirst()))
            .map { -$0.logProbability }
        }
        #expect(once.count == many.count)
        // The same sums in another blocking: a few f32 roundings of logits near 10 apart.
        for (a, b) in zip(once, many) { #expect(abs(a - b) < 1e-4) }
      }
    }
  }

  @Test func objectiveLossesMatch() throws {
    let model = try GoldenModel.fullPrecision()
    let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
    let mask = Int32(try #require(model.configuration.maskToken))
    for example in try Golden.array("golden/objective_losses.json", "cases") {
      let promptLength = try example.int("prompt_length")
      let responseLength = try example.int("response_length")
      let official = try OfficialArrangement(example)
      let plan = ScoringPlan.objective(
        Example(
          prompt: Array(official.tokens[..<promptLength]), response: official.response),
        masking: SlotMasking(
          slotSize: try example.int("slot_size"),
          probability: try example.number("mask_probability"),
          cleanOrder: try example.ids("slot_order_clean").map(Int.init),
          masked: try example.ids("slots_masked").map(Int.init)),
        maskToken: mask)
      #expect(plan.batch.tokens == official.tokens)
      #expect(plan.batch.positions == official.positions)
      let labels = Dictionary(
        uniqueKeysWithValues: plan.scored.map { ($0.input, $0.target) })
      for (index, label) in official.labels.enumerated() {
        #expect(labels[index] ?? -100 == label)
      }
      let losses = plan.negativeLogLikelihoods(on: session)
      for (target, loss) in zip(plan.scored, losses) {
        let expected = try #require(official.losses[target.input])
        #expect(abs(Double(loss) - expected) < 2e-3)
      }
      let totals = ObjectiveLosses(plan: plan, losses: losses, responseLength: responseLength)
      if totals.autoregressiveCount > 0 {
        let mean = totals.autoregressiveSum / Double(totals.autoregressiveCount)
        #expect(abs(mean - (try example.number("ar_loss"))) < 2e-4)
      }
      #expect(abs(totals.masked - (try example.number("mdm_loss"))) < 2e-4)
    }
  }
}

/// One case of `objective_losses.json`.
private struct OfficialArrangement {
  let tokens: [Int32]
  let positions: [Int32]
  let labels: [Int32]
  let losses: [Double?]
  /// The response in its own order, put together from inputs and labels.
  let response: [Int32]

  init(_ example: JSONValue) throws {
    tokens = try example.ids("input_ids")
    positions = try example.ids("position_ids")
    labels = try example.ids("labels")
    losses = try example.array("token_nll").map(\.number)
    let masked = try example.array("is_masked").map { $0.bool ?? false }
    let prompt = try example.int("prompt_length")
    var response = [Int32](repeating: -1, count: try example.int("response_length"))
    for index in prompt..<tokens.count {
      response[Int(positions[index]) - prompt] = masked[index] ? labels[index] : tokens[index]
    }
    self.response = response
  }
}
