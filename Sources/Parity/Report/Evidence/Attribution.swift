/// Where the drift comes from: which kind of rounding, which layer, which tensor.
package struct Attribution: Sendable, Equatable, Codable {
  /// One cause switched on alone, the others computed as the reference does.
  package struct Part: Sendable, Equatable, Codable {
    /// `weights`, `activations` or `kv_cache`.
    package var name: String
    /// Mean KL in nats over the attributed positions.
    package var divergence: Double

    package init(name: String, divergence: Double) {
      self.name = name
      self.divergence = divergence
    }

    enum CodingKeys: String, CodingKey {
      case name
      case divergence = "kl_mean"
    }
  }

  package struct Layer: Sendable, Equatable, Codable {
    package var index: Int
    /// ‖candidate − reference‖ ÷ ‖reference‖ of the block's output.
    package var relativeError: Double

    package init(index: Int, relativeError: Double) {
      self.index = index
      self.relativeError = relativeError
    }

    enum CodingKeys: String, CodingKey {
      case index = "layer"
      case relativeError = "relative_error"
    }
  }

  package struct Tensor: Sendable, Equatable, Codable {
    package var name: String
    package var scheme: String
    /// ‖candidate − reference‖ ÷ ‖reference‖ of the weights.
    package var weightError: Double
    /// The error its scheme explains; far above it the tensor is damaged, not rounded.
    package var expectedError: Double
    /// The largest error of one group of weights ÷ what its scheme explains for it.
    package var worstGroup: Double
    /// Where that group is, when it is beyond rounding.
    package var worstPlace: String?
    /// Mean KL when this tensor alone is the candidate's; nil when it was not measured.
    package var divergence: Double?
    /// The recipe rule that would store it in more bits.
    package var recipeRule: String?
    /// Its bytes no longer have the checksum they were written with.
    package var isDamaged: Bool

    package init(
      name: String, scheme: String, weightError: Double, expectedError: Double,
      worstGroup: Double = 0, worstPlace: String? = nil, divergence: Double? = nil,
      recipeRule: String? = nil, isDamaged: Bool = false
    ) {
      self.name = name
      self.scheme = scheme
      self.weightError = weightError
      self.expectedError = expectedError
      self.worstGroup = worstGroup.isFinite ? worstGroup : .greatestFiniteMagnitude
      self.worstPlace = worstPlace
      self.divergence = divergence
      self.recipeRule = recipeRule
      self.isDamaged = isDamaged
    }

    enum CodingKeys: String, CodingKey {
      case name, scheme
      case weightError = "weight_error"
      case expectedError = "expected_error"
      case worstGroup = "worst_group"
      case worstPlace = "worst_place"
      case divergence = "kl_mean"
      case recipeRule = "recipe_rule"
      case isDamaged = "damaged"
    }

    /// Group errors up to here are rounding: clipping by a scale search and a codebook's widest
    /// gap each stay below three times what even steps explain.
    static let damageRatio = 4.0

    /// The weights are further off than rounding explains, as a whole or in one group.
    package var isSuspect: Bool {
      isDamaged || !(weightError <= 2 * expectedError && worstGroup <= Self.damageRatio)
    }
  }

  package var parts: [Part]
  package var layers: [Layer]
  /// The costliest first.
  package var tensors: [Tensor]

  package init(parts: [Part] = [], layers: [Layer] = [], tensors: [Tensor] = []) {
    self.parts = parts
    self.layers = layers
    self.tensors = tensors
  }
}
