package import Bytes

extension InferenceSession {
  /// Refuses a prompt the model cannot take.
  ///
  /// - Throws: `decode.prompt` when it is empty, holds an id outside the vocabulary, or leaves no
  ///   room for `generating` more tokens.
  package func checkPrompt(_ prompt: [Int32], generating count: Int) throws(IngotError) {
    let shape = model.configuration
    guard !prompt.isEmpty else {
      throw IngotError("decode.prompt", "the prompt is empty", advice: "Give at least one token.")
    }
    if let bad = prompt.first(where: { $0 < 0 || Int($0) >= shape.vocabularySize }) {
      throw IngotError(
        "decode.prompt", "token \(bad) is outside the vocabulary of \(shape.vocabularySize)")
    }
    guard prompt.count + count <= shape.maximumPositions else {
      throw IngotError(
        "decode.prompt",
        "\(prompt.count) prompt tokens and \(count) to generate exceed the model's "
          + "\(shape.maximumPositions) positions",
        advice: "Shorten the prompt or lower --max-tokens.")
    }
  }
}
