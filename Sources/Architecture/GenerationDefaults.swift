/// What `generation_config.json` says about decoding; everything in it is optional.
///
/// These are the publisher's suggestions. ReFusion decoding has settings of its own and uses only
/// the end-of-text ids.
public struct GenerationDefaults: Sendable, Hashable {
  /// `eos_token_id`: any of these ends the text; empty when the file names none.
  public var endOfTextTokens: [Int]
  public var beginOfTextToken: Int?
  public var padToken: Int?
  /// `do_sample`.
  public var samples: Bool?
  public var temperature: Double?
  public var topK: Int?
  public var topP: Double?
  public var repetitionPenalty: Double?
  /// `max_new_tokens`.
  public var maximumNewTokens: Int?

  public init(
    endOfTextTokens: [Int] = [], beginOfTextToken: Int? = nil, padToken: Int? = nil,
    samples: Bool? = nil, temperature: Double? = nil, topK: Int? = nil, topP: Double? = nil,
    repetitionPenalty: Double? = nil, maximumNewTokens: Int? = nil
  ) {
    self.endOfTextTokens = endOfTextTokens
    self.beginOfTextToken = beginOfTextToken
    self.padToken = padToken
    self.samples = samples
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.repetitionPenalty = repetitionPenalty
    self.maximumNewTokens = maximumNewTokens
  }
}
