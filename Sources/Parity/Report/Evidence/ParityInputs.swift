/// What was compared, on what, and how: everything needed to do it again.
package struct ParityInputs: Sendable, Equatable, Codable {
  /// One of the two models.
  package struct Model: Sendable, Equatable, Codable {
    /// The path as the user gave it.
    package var path: String
    /// Size on disk.
    package var bytes: Int
    package var parameters: Int
    /// Types or schemes of the weights, most weights first: `["int4-g64", "int8-g64", "bf16"]`.
    package var types: [String]
    package var bitsPerWeight: Double?

    package init(
      path: String, bytes: Int, parameters: Int, types: [String], bitsPerWeight: Double? = nil
    ) {
      self.path = path
      self.bytes = bytes
      self.parameters = parameters
      self.types = types
      self.bitsPerWeight = bitsPerWeight
    }

    enum CodingKeys: String, CodingKey {
      case path, bytes, parameters, types
      case bitsPerWeight = "bits_per_weight"
    }
  }

  package var referenceDigest: String
  package var candidateDigest: String
  package var pairsDigest: String
  package var reference: Model
  package var candidate: Model
  package var pairsPath: String
  /// Pairs in the file, of which `settings.limit` may take fewer.
  package var pairsInFile: Int
  package var settings: ParitySettings
  /// Seeds masks and resampling.
  package var seed: UInt64

  package init(
    referenceDigest: String, candidateDigest: String, pairsDigest: String, reference: Model,
    candidate: Model, pairsPath: String, pairsInFile: Int, settings: ParitySettings, seed: UInt64
  ) {
    self.referenceDigest = referenceDigest
    self.candidateDigest = candidateDigest
    self.pairsDigest = pairsDigest
    self.reference = reference
    self.candidate = candidate
    self.pairsPath = pairsPath
    self.pairsInFile = pairsInFile
    self.settings = settings
    self.seed = seed
  }

  enum CodingKeys: String, CodingKey {
    case referenceDigest = "reference_sha256"
    case candidateDigest = "candidate_sha256"
    case pairsDigest = "pairs_sha256"
    case reference, candidate
    case pairsPath = "pairs_path"
    case pairsInFile = "pairs_in_file"
    case settings, seed
  }
}

/// What was evaluated; two runs with equal settings, seeds and digests give equal figures.
package struct ParitySettings: Sendable, Equatable, Codable {
  /// Slot sizes of the slot likelihood.
  package var slotSizes: [Int]
  /// Draws of the training objective's masks per pair; 0 leaves the objective out.
  package var objectiveDraws: Int
  /// Pairs taken from the front of the file; nil for all.
  package var limit: Int?
  /// Pairs decoded with both models, from the front of those.
  package var decodePairs: Int
  package var decoding: Decoding?
  /// Text fed as it is, without the chat template.
  package var raw: Bool

  package struct Decoding: Sendable, Equatable, Codable {
    package var slotSize: Int
    package var blocks: Int
    package var slotThreshold: Double
    package var tokenThreshold: Double
    package var maximumTokens: Int
    /// `fixed` or `official`.
    package var endOfSequence: String

    package init(
      slotSize: Int, blocks: Int, slotThreshold: Double, tokenThreshold: Double,
      maximumTokens: Int, endOfSequence: String
    ) {
      self.slotSize = slotSize
      self.blocks = blocks
      self.slotThreshold = slotThreshold
      self.tokenThreshold = tokenThreshold
      self.maximumTokens = maximumTokens
      self.endOfSequence = endOfSequence
    }

    enum CodingKeys: String, CodingKey {
      case slotSize = "slot_size"
      case blocks
      case slotThreshold = "slot_threshold"
      case tokenThreshold = "token_threshold"
      case maximumTokens = "max_tokens"
      case endOfSequence = "eos"
    }
  }

  package init(
    slotSizes: [Int], objectiveDraws: Int, limit: Int? = nil, decodePairs: Int = 0,
    decoding: Decoding? = nil, raw: Bool = false
  ) {
    self.slotSizes = slotSizes
    self.objectiveDraws = objectiveDraws
    self.limit = limit
    self.decodePairs = decodePairs
    self.decoding = decoding
    self.raw = raw
  }

  enum CodingKeys: String, CodingKey {
    case slotSizes = "slot_sizes"
    case objectiveDraws = "objective_draws"
    case limit
    case decodePairs = "decode_pairs"
    case decoding, raw
  }
}
