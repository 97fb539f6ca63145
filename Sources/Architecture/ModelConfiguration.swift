/// The shape of a ReFusion model: a Qwen3 decoder plus the id of its MASK token.
///
/// Field names follow `config.json` of the published checkpoint (arXiv 2512.13586).
public struct ModelConfiguration: Sendable, Hashable {
  /// `architectures[0]`, always `Qwen3ForCausalLM` in a configuration that was accepted.
  public var architecture: String
  public var vocabularySize: Int
  public var hiddenSize: Int
  public var intermediateSize: Int
  public var layerCount: Int
  public var attentionHeads: Int
  public var keyValueHeads: Int
  /// Independent of `hiddenSize / attentionHeads`.
  public var headDimension: Int
  public var rmsNormEpsilon: Float
  public var ropeTheta: Double
  public var maximumPositions: Int
  public var tiesEmbeddings: Bool
  /// Whether q, k, v and o projections carry biases (`attention_bias`).
  public var attentionBias: Bool
  public var beginOfTextToken: Int?
  public var endOfTextToken: Int?
  /// `mask_token_id`; nil for a plain Qwen3, which can only decode autoregressively.
  public var maskToken: Int?

  public init(
    architecture: String = "Qwen3ForCausalLM", vocabularySize: Int, hiddenSize: Int,
    intermediateSize: Int, layerCount: Int, attentionHeads: Int, keyValueHeads: Int,
    headDimension: Int, rmsNormEpsilon: Float = 1e-6, ropeTheta: Double = 1_000_000,
    maximumPositions: Int = 32768, tiesEmbeddings: Bool = false, attentionBias: Bool = false,
    beginOfTextToken: Int? = nil, endOfTextToken: Int? = nil, maskToken: Int? = nil
  ) {
    self.architecture = architecture
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.attentionHeads = attentionHeads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.rmsNormEpsilon = rmsNormEpsilon
    self.ropeTheta = ropeTheta
    self.maximumPositions = maximumPositions
    self.tiesEmbeddings = tiesEmbeddings
    self.attentionBias = attentionBias
    self.beginOfTextToken = beginOfTextToken
    self.endOfTextToken = endOfTextToken
    self.maskToken = maskToken
  }
}

extension ModelConfiguration {
  /// Sizes beyond these are refused before anything is allocated: far above any published model,
  /// and small enough that no product of three of them overflows 64 bits.
  public enum Limits {
    public static let vocabularySize = 1 << 22
    public static let width = 1 << 18
    public static let layerCount = 1 << 12
    public static let heads = 1 << 12
    public static let headDimension = 1 << 12
    public static let positions = 1 << 30
  }

  /// The first thing about these numbers that cannot be, or nil when they are consistent.
  public var inconsistency: String? {
    func outside(_ name: String, _ value: Int, _ limit: Int) -> String? {
      (1...limit).contains(value) ? nil : "\(name) is \(value), outside 1…\(limit)"
    }
    let ranges = [
      outside("vocab_size", vocabularySize, Limits.vocabularySize),
      outside("hidden_size", hiddenSize, Limits.width),
      outside("intermediate_size", intermediateSize, Limits.width),
      outside("num_hidden_layers", layerCount, Limits.layerCount),
      outside("num_attention_heads", attentionHeads, Limits.heads),
      outside("num_key_value_heads", keyValueHeads, Limits.heads),
      outside("head_dim", headDimension, Limits.headDimension),
      outside("max_position_embeddings", maximumPositions, Limits.positions),
    ]
    if let first = ranges.compactMap({ $0 }).first { return first }
    if attentionHeads % keyValueHeads != 0 {
      return
        "num_attention_heads (\(attentionHeads)) is not a multiple of num_key_value_heads (\(keyValueHeads))"
    }
    if headDimension % 2 != 0 { return "head_dim is odd (\(headDimension)); RoPE needs pairs" }
    guard rmsNormEpsilon.isFinite, rmsNormEpsilon > 0 else {
      return "rms_norm_eps is \(rmsNormEpsilon)"
    }
    guard ropeTheta.isFinite, ropeTheta > 0 else { return "rope_theta is \(ropeTheta)" }
    for (name, token) in [
      ("bos_token_id", beginOfTextToken), ("eos_token_id", endOfTextToken),
      ("mask_token_id", maskToken),
    ] {
      if let token, !(0..<vocabularySize).contains(token) {
        return "\(name) (\(token)) is not below vocab_size (\(vocabularySize))"
      }
    }
    return nil
  }

  /// Parameters of the model, tied embeddings counted once.
  public var parameterCount: Int {
    tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }
}
