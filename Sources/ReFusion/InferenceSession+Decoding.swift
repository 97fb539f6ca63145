public import Bytes
internal import Kernels

// What a program outside this package decodes with.

extension InferenceSession {
  /// Makes a session with its own threads.
  ///
  /// - Parameters:
  ///   - model: shared between any number of sessions.
  ///   - threads: 1 to 1024; nil for one a core. Results do not depend on it.
  public convenience init(model: ReFusionModel, threads: Int? = nil) {
    let threads = threads ?? ThreadPool.availableCores
    precondition((1...1024).contains(threads), "threads must be between 1 and 1024")
    self.init(model: model, pool: ThreadPool(threads: threads))
  }

  /// Answers a prompt with ReFusion decoding (arXiv 2512.13586).
  ///
  /// - Parameters:
  ///   - prompt: token ids below the vocabulary size, at least one.
  ///   - settings: slots, blocks and thresholds; see ``DecodingSettings``.
  ///   - onCommit: called with tokens that became final and their positions, the prompt's first
  ///     token being at 0. Slots become final out of order.
  /// - Returns: the generated tokens by position, EOS included, and what they cost.
  /// - Throws: `decode.settings`, `decode.prompt`; `decode.noMask` or `decode.noEOS` for a model
  ///   that cannot be decoded in this way.
  public func decode(
    prompt: [Int], settings: DecodingSettings = DecodingSettings(),
    onCommit: ((_ tokens: [Int32], _ positions: [Int32]) -> Void)? = nil
  ) throws(IngotError) -> DecodingResult {
    var decoder = try ReFusionDecoder(
      session: self, settings: settings, observer: DecodingObserver(commit: onCommit))
    return try decoder.decode(prompt: narrowed(prompt))
  }

  /// Answers a prompt one token at a time, as the same weights would as a plain Qwen3.
  ///
  /// - Parameters:
  ///   - prompt: token ids below the vocabulary size, at least one.
  ///   - maximumTokens: 1 to 2²⁰; decoding ends there or at EOS.
  ///   - temperature: 0 is greedy.
  ///   - seed: seeds sampling.
  ///   - onCommit: called with each token and its position.
  /// - Throws: `decode.settings`, `decode.prompt`.
  public func decodeAutoregressively(
    prompt: [Int], maximumTokens: Int, temperature: Double = 0, seed: UInt64 = 0,
    onCommit: ((_ tokens: [Int32], _ positions: [Int32]) -> Void)? = nil
  ) throws(IngotError) -> DecodingResult {
    // One slot and one block: what is left to check is what this decoder shares.
    try DecodingSettings(
      slotSize: 1, blocks: 1, maximumTokens: maximumTokens, temperature: temperature
    ).validate()
    var decoder = AutoregressiveDecoder(
      session: self, maximumTokens: maximumTokens, temperature: temperature, seed: seed,
      observer: DecodingObserver(commit: onCommit))
    return try decoder.decode(prompt: narrowed(prompt))
  }

  /// Tokenizers count in `Int`, models in `Int32`; an id too large for one becomes -1, which
  /// `checkPrompt` refuses like every id outside the vocabulary.
  private func narrowed(_ ids: [Int]) -> [Int32] { ids.map { Int32(exactly: $0) ?? -1 } }
}
