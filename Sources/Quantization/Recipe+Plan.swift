package import Architecture
package import Bytes
internal import Tensors

extension Recipe {
  /// What becomes of every tensor of a model.
  ///
  /// - Throws: `recipe.unmatchedRule` when a rule decides about no tensor; `recipe.notMatrix`,
  ///   `recipe.elementType` or `recipe.groupSize` when a tensor cannot be stored as the recipe
  ///   demands. Nothing is ever stored in another way instead.
  package func plan(
    for model: ModelConfiguration, tensors: [TensorDescription]
  ) throws(IngotError) -> [TensorPlan] {
    let roles = Dictionary(
      model.tensors.map { ($0.name, $0.role) }, uniquingKeysWith: { first, _ in first })
    var used = Set<Int>()
    var plans: [TensorPlan] = []
    for tensor in tensors {
      let rule = rules.indices.first { rules[$0].matches(tensor.name) }
      if let rule { used.insert(rule) }
      let role = roles[tensor.name]
      let isMatrix = role == .linear || role == .head || role == .embedding
      let action = rule.map { rules[$0].action } ?? (isMatrix ? standard : .keep)
      plans.append(try plan(action, for: tensor, isMatrix: isMatrix, model: model))
    }
    if let idle = rules.indices.first(where: { !used.contains($0) }) {
      throw unmatched(idle, tensors)
    }
    return plans
  }

  private func plan(
    _ action: Action, for tensor: TensorDescription, isMatrix: Bool, model: ModelConfiguration
  ) throws(IngotError) -> TensorPlan {
    guard case .quantize(let scheme, let method) = action else {
      return TensorPlan(
        name: tensor.name, shape: tensor.shape, sourceType: tensor.elementType, action: .keep,
        exactRows: [])
    }
    guard isMatrix, tensor.shape.count == 2 else {
      throw IngotError(
        "recipe.notMatrix", "is no matrix of the model, so it cannot be quantized", path: path,
        tensor: tensor.name, advice: "Narrow the rule's pattern, or put a keep rule before it.")
    }
    guard tensor.elementType.isComputable else {
      throw IngotError(
        "recipe.elementType", "holds \(tensor.elementType.name), which cannot be quantized",
        path: path, tensor: tensor.name)
    }
    let (rows, columns) = (tensor.shape[0], tensor.shape[1])
    guard let layout = TileLayout(scheme: scheme, rows: rows, columns: columns) else {
      throw IngotError(
        "recipe.groupSize",
        "has \(columns) columns, no multiple of the group size of \(scheme.name)", path: path,
        tensor: tensor.name, advice: "Give it a rule with a smaller group, or keep it.")
    }
    let isEmbedding = tensor.name == ModelConfiguration.embeddingName
    let exact = isEmbedding && keepsMaskRow ? model.maskToken.map { [$0] } ?? [] : []
    return TensorPlan(
      name: tensor.name, shape: tensor.shape, sourceType: tensor.elementType,
      action: .quantize(layout, method), exactRows: exact.filter { (0..<rows).contains($0) })
  }

  private func unmatched(_ index: Int, _ tensors: [TensorDescription]) -> IngotError {
    let rule = rules[index]
    let patterns = rule.tensors.map(\.pattern).joined(separator: ", ")
    let isShadowed = tensors.contains { rule.matches($0.name) }
    return IngotError(
      "recipe.unmatchedRule",
      isShadowed
        ? "rule \(index + 1) (\(patterns)) matches only tensors that earlier rules decide about"
        : "rule \(index + 1) (\(patterns)) matches no tensor of the model",
      path: path, advice: "ingot inspect lists the names of all tensors.")
  }
}
