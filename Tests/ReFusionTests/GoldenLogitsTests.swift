import Bytes
import Kernels
import ModelSupport
import ReFusion
import TestSupport
import Testing

/// All logits of two training-objective inputs against PyTorch in f32.
@Suite(.enabled(if: Shared.isPresent, Comment(rawValue: Shared.skipped)))
struct GoldenLogitsTests {
  @Test(arguments: [0, 1]) func logitsMatchTheOfficialOnes(example: Int) throws {
    let model = try GoldenModel.fullPrecision()
    let cases = try Golden.array("golden/objective_losses.json", "cases")
    let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
    let tokens = try cases[example].ids("input_ids")
    session.forward(
      .causal(
        tokens: tokens, positions: try cases[example].ids("position_ids"), cacheLength: 0))

    let expected = try GoldenModel.tensor("logits.\(example)", in: "golden/logits.safetensors")
    let vocabulary = model.configuration.vocabularySize
    #expect(expected.count == tokens.count * vocabulary)
    var largest = 0.0
    var sum = 0.0
    session.withLogits(at: Array(tokens.indices)) { first, rows, count in
      for index in 0..<(count * vocabulary) {
        let difference = abs(Double(rows[index]) - Double(expected[first * vocabulary + index]))
        largest = max(largest, difference)
        sum += difference
      }
    }
    print("logits.\(example): max |Δ| \(largest), mean |Δ| \(sum / Double(expected.count))")
    #expect(largest <= 2e-3)
    #expect(sum / Double(expected.count) <= 1e-4)
  }
}
