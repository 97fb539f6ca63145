package import Architecture
internal import Tensors

extension Recipe {
  /// The names `builtIn` knows, for messages.
  package static let builtInNames =
    "int8, int4, int4-pure, and <scheme>-g<group> with int8, int6, int4, int4z (32, 64, 128) "
    + "or cb4 (16, 32, 64, 128); -plain after it for rounding without search"

  /// A recipe by name for a model, or nil.
  ///
  /// * `int8`: every matrix at 8.25 bits.
  /// * `int4`: 4 bits where they suffice, see `mixed`.
  /// * `int4-pure`: every matrix in the 4-bit scheme of least error.
  /// * `cb4-g32`, `int4-g64`, …: that scheme for every matrix; `cb4`, … with a usual group.
  package static func builtIn(_ name: String, for model: ModelConfiguration) -> Recipe? {
    switch name {
    case "int8":
      return Recipe(name: name, standard: .quantize(eightBit, .search), keepsMaskRow: true)
    case "int4":
      return mixed(name: name, outerLayers: model.outerLayers)
    case "int4-pure":
      return Recipe(name: name, standard: .quantize(fourBit, .search), keepsMaskRow: false)
    default:
      let isPlain = name.hasSuffix("-plain")
      let scheme = isPlain ? String(name.dropLast("-plain".count)) : name
      guard let scheme = QuantizationScheme(name: scheme) ?? usual[scheme] else { return nil }
      return Recipe(
        name: name, standard: .quantize(scheme, isPlain ? .plain : .search), keepsMaskRow: false)
    }
  }

  /// Head and embedding in 8 bits, 6 bits for keys, values and the outer layers' attention, the outer layers'
  /// feed-forward in shorter groups than the rest.
  ///
  /// Chosen beside all layers in `cb4-g16`, which take 4.50 bits with the shape of Qwen3-1.7B where these take
  /// 4.41. On a trained checkpoint of 6 layers (GSM8K, 256 pairs) the KL divergence of the causal head is 6.3e-4
  /// where it was 6.6e-4, of the masked one 7.7e-4 and was 8.6e-4. Groups of 64 also multiply faster: with those
  /// of 16 the vector unit has a multiplication by a scale to do for every four products.
  private static func mixed(name: String, outerLayers: [Int]) -> Recipe {
    func tensors(_ names: String...) -> [String] {
      outerLayers.flatMap { layer in names.map { ModelConfiguration.layerTensor(layer, $0) } }
    }
    let rules: [(tensors: [String], scheme: QuantizationScheme)] = [
      // One rule for both: a model with tied embeddings has no head of its own.
      ([ModelConfiguration.embeddingName, ModelConfiguration.headName], eightBit),
      (["*.self_attn.k_proj.weight", "*.self_attn.v_proj.weight"], sixBit),
      (tensors("self_attn.q_proj.weight", "self_attn.o_proj.weight"), sixBit),
      (tensors("mlp.gate_proj.weight", "mlp.up_proj.weight"), scheme(.cb4, 32)),
      (tensors("mlp.down_proj.weight"), fourBit),
    ]
    return Recipe(
      name: name, standard: .quantize(scheme(.cb4, 64), .search),
      rules: rules.filter { !$0.tensors.isEmpty }
        .map { Rule($0.tensors, .quantize($0.scheme, .search)) },
      keepsMaskRow: true)
  }

  private static func scheme(_ kind: QuantizationScheme.Kind, _ group: Int) -> QuantizationScheme {
    guard let scheme = QuantizationScheme(kind, groupSize: group) else {
      preconditionFailure("\(kind.name) has no groups of \(group)")
    }
    return scheme
  }

  /// Error 3 % above `Q8_0` at 8.25 bits to its 8.5.
  static let eightBit = scheme(.int8, 64)
  static let sixBit = scheme(.int6, 64)
  /// Error 12 % below `Q4_K` at the same 4.5 bits; groups of 32 save a quarter of a bit for 16 %
  /// more error.
  static let fourBit = scheme(.cb4, 16)
  private static let usual = [
    "int6": sixBit, "int4z": scheme(.int4z, 64), "cb4": fourBit,
  ]
}
