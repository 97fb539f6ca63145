internal import Architecture
internal import Tensors

extension Recipe {
  /// The names `builtIn` knows, for messages.
  package static let builtInNames =
    "int8, int4, int4-pure, and <scheme>-g<group> with int8, int6, int4, int4z (32, 64, 128) "
    + "or cb4 (16, 32, 64, 128); -plain after it for rounding without search"

  /// A recipe by name, or nil.
  ///
  /// * `int8`: every matrix at 8.25 bits.
  /// * `int4`: linear layers in the best 4-bit scheme, head and embedding in int8.
  /// * `int4-pure`: every matrix in the best 4-bit scheme.
  /// * `cb4-g32`, `int4-g64`, …: that scheme for every matrix; `cb4`, … with a usual group.
  package static func builtIn(_ name: String) -> Recipe? {
    switch name {
    case "int8":
      return Recipe(name: name, standard: .quantize(eightBit, .search), keepsMaskRow: true)
    case "int4":
      // One rule for both: a model with tied embeddings has no head of its own.
      let ends = Rule(
        [ModelConfiguration.embeddingName, ModelConfiguration.headName],
        .quantize(eightBit, .search))
      return Recipe(
        name: name, standard: .quantize(fourBit, .search), rules: [ends], keepsMaskRow: true)
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

  private static func scheme(_ kind: QuantizationScheme.Kind, _ group: Int) -> QuantizationScheme {
    guard let scheme = QuantizationScheme(kind, groupSize: group) else {
      preconditionFailure("\(kind.name) has no groups of \(group)")
    }
    return scheme
  }

  /// Error 3 % above `Q8_0` at 8.25 bits to its 8.5.
  static let eightBit = scheme(.int8, 64)
  /// Error 12 % below `Q4_K` at the same 4.5 bits; groups of 32 save a quarter of a bit for 16 %
  /// more error.
  static let fourBit = scheme(.cb4, 16)
  private static let usual = [
    "int6": scheme(.int6, 64), "int4z": scheme(.int4z, 64), "cb4": scheme(.cb4, 16),
  ]
}
