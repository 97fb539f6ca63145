package import Bytes
package import IngotFormat
package import Quantization
package import Tensors

/// Everything about a cast before a weight is read: what becomes of each tensor, and the exact
/// file that will come out.
package struct CastPlan: Sendable {
  /// What becomes of one tensor.
  package enum Action: Sendable {
    /// The same bytes.
    case copy
    /// Another floating-point type, rounded to nearest even.
    case convert(to: ElementType)
    /// What a recipe says, which may be to keep it.
    case quantize(TensorPlan)
  }

  package let source: any CastSource
  /// One for each of the source's tensors.
  package let actions: [Action]
  /// The file, to the byte.
  package let file: IngotPlan

  /// Plans a lossless conversion, or one to another floating-point type.
  ///
  /// - Parameters:
  ///   - type: F32, F16 or BF16 for every tensor; nil keeps each as it is.
  ///   - toolVersion: recorded in the file.
  package init(
    converting source: some CastSource, to type: ElementType?, toolVersion: String
  ) throws(IngotError) {
    precondition(type?.isComputable ?? true, "not a type weights are stored in")
    let actions = source.tensors.map { tensor -> Action in
      guard let type, type != tensor.type else { return .copy }
      return .convert(to: type)
    }
    try self.init(source: source, actions: actions, toolVersion: toolVersion, extra: [])
  }

  /// Plans a quantization.
  ///
  /// - Throws: what the recipe throws for a rule that matches nothing or a tensor that cannot
  ///   follow its rule.
  package init(
    quantizing source: some CastSource, by recipe: Recipe, toolVersion: String
  ) throws(IngotError) {
    let plans = try recipe.plan(
      for: source.configuration,
      tensors: source.tensors.map { (name: $0.name, shape: $0.shape, elementType: $0.type) })
    let actions = plans.map { Action.quantize($0) }
    try self.init(
      source: source, actions: actions, toolVersion: toolVersion,
      extra: [
        .init(IngotKey.recipe, .string(recipe.canonicalText)),
        .init(IngotKey.recipeChecksum, .bytes(recipe.checksum.bytes)),
      ])
  }

  private init(
    source: some CastSource, actions: [Action], toolVersion: String, extra: [IngotPlan.Metadata]
  ) throws(IngotError) {
    self.source = source
    self.actions = actions
    let sources = source.parts.map {
      IngotSource(name: $0.name, byteCount: $0.byteCount, checksum: $0.checksum ?? .zero)
    }
    let metadata =
      source.configuration.ingotMetadata + source.attachments.metadata
      + IngotSource.metadata(sources) + [.init(IngotKey.tool, .string(toolVersion))] + extra
    file = try IngotPlan(
      metadata: metadata,
      tensors: zip(source.tensors, actions).map { Self.planned($0, $1) })
  }

  private static func planned(_ tensor: SourceTensor, _ action: Action) -> IngotPlan.Tensor {
    switch action {
    case .copy:
      IngotPlan.Tensor(name: tensor.name, shape: tensor.shape, storage: .dense(tensor.type))
    case .convert(let type):
      IngotPlan.Tensor(name: tensor.name, shape: tensor.shape, storage: .dense(type))
    case .quantize(let plan):
      switch plan.action {
      case .keep:
        IngotPlan.Tensor(name: tensor.name, shape: tensor.shape, storage: .dense(tensor.type))
      case .quantize(let layout, _):
        IngotPlan.Tensor(
          name: tensor.name, shape: tensor.shape, storage: .tiled(layout),
          exactRows: plan.exactRows.isEmpty
            ? nil : IngotExactRowsLayout(count: plan.exactRows.count, type: tensor.type))
      }
    }
  }
}

extension CastPlan {
  /// Plans the cast that made `file`, from a source that should be the same: by the recipe in the
  /// file, or to the element types it has.
  ///
  /// - Throws: `cast.notReproducible` when the source lacks a tensor of the file or has more, and
  ///   what reading the recipe throws.
  package init(reproducing file: IngotFile, from source: some CastSource) throws(IngotError) {
    let version = try file.toolVersion() ?? ""
    if let recipe = try file.recipe() {
      let parsed = try Recipe(yaml: recipe, path: file.path)
      try self.init(quantizing: source, by: parsed, toolVersion: version)
      return
    }
    var actions: [Action] = []
    for tensor in source.tensors {
      guard let stored = file.tensor(named: tensor.name), case .dense(let type) = stored.storage
      else {
        throw IngotError(
          "cast.notReproducible", "is in the source and not, or not as such, in the file",
          path: file.path, tensor: tensor.name)
      }
      actions.append(type == tensor.type ? .copy : .convert(to: type))
    }
    try self.init(source: source, actions: actions, toolVersion: version, extra: [])
  }
}
