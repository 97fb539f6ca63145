internal import Bytes

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
  /// SHA-256 of settings and seed, as `digest(settings:seed:)` gives it.
  package var settingsDigest: String
  /// What the candidate gave up against the reference, which chooses the default limits.
  package var candidateClass: ParityPolicy.CandidateClass

  package init(
    referenceDigest: String, candidateDigest: String, pairsDigest: String, reference: Model,
    candidate: Model, pairsPath: String, pairsInFile: Int, settings: ParitySettings,
    seed: UInt64, candidateClass: ParityPolicy.CandidateClass
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
    self.candidateClass = candidateClass
    settingsDigest = Self.digest(settings: settings, seed: seed)
  }

  enum CodingKeys: String, CodingKey {
    case referenceDigest = "reference_sha256"
    case candidateDigest = "candidate_sha256"
    case pairsDigest = "pairs_sha256"
    case reference, candidate
    case pairsPath = "pairs_path"
    case pairsInFile = "pairs_in_file"
    case settings, seed
    case settingsDigest = "settings_sha256"
    case candidateClass = "candidate_class"
  }
}

extension ParitySettings {
  /// Refuses settings that a verification cannot have had; for reports that come from a file.
  ///
  /// - Throws: `report.settings`, naming the setting.
  func check() throws(IngotError) {
    for (name, holds) in [
      ("slot_sizes", slotSizes.allSatisfy { (1...4096).contains($0) }),
      ("objective_draws", (0...64).contains(objectiveDraws)), ("limit", limit ?? 1 >= 1),
      ("decode_pairs", decodePairs >= 0),
    ] where !holds {
      throw IngotError("report.settings", "\(name) is not what a verification can have")
    }
  }
}

extension ParityInputs {
  /// SHA-256 of the compact JSON `{"settings": …, "seed": …}`, in hexadecimal.
  package static func digest(settings: ParitySettings, seed: UInt64) -> String {
    struct Bound: Encodable {
      let settings: ParitySettings
      let seed: UInt64
    }
    let value = try? JSONValue(encoding: Bound(settings: settings, seed: seed))
    return Checksum(of: (value ?? .null).serialized(.compact)).hexadecimal
  }

  /// The same models, pairs, settings and seed, wherever the files lie.
  func isSameVerification(as other: ParityInputs) -> Bool {
    referenceDigest == other.referenceDigest && candidateDigest == other.candidateDigest
      && pairsDigest == other.pairsDigest && settings == other.settings && seed == other.seed
      && candidateClass == other.candidateClass
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
  /// How the candidate's quantized weights multiply: `quantized` or `dequantized`.
  package var arithmetic: String
  /// Type of the candidate's cached keys and values: `f32`, `f16` or `int8`.
  package var cacheType: String

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
    decoding: Decoding? = nil, raw: Bool = false, arithmetic: String = "quantized",
    cacheType: String = "f32"
  ) {
    self.slotSizes = slotSizes
    self.objectiveDraws = objectiveDraws
    self.limit = limit
    self.decodePairs = decodePairs
    self.decoding = decoding
    self.raw = raw
    self.arithmetic = arithmetic
    self.cacheType = cacheType
  }

  enum CodingKeys: String, CodingKey {
    case slotSizes = "slot_sizes"
    case objectiveDraws = "objective_draws"
    case limit
    case decodePairs = "decode_pairs"
    case decoding, raw, arithmetic
    case cacheType = "cache_type"
  }
}
