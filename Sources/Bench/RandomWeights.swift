package import Architecture
package import Bytes
package import Kernels
package import Quantization
internal import ReFusion
package import Tensors

/// Random weights of a model in memory, quantized as a recipe says: the bytes are as a file would
/// have them, the numbers mean nothing.
package struct RandomWeights: WeightSource {
  package let configuration: ModelConfiguration
  private let matrices: [String: WeightMatrix]

  /// Fills the matrices, several at a time.
  ///
  /// - Parameters:
  ///   - plan: what becomes of each tensor of the model.
  ///   - progress: called with bytes as they are made, from any thread.
  package init(
    _ configuration: ModelConfiguration, plan: [TensorPlan], pool: ThreadPool,
    progress: (Int) -> Void = { _ in }
  ) {
    self.configuration = configuration
    let plans = plan.filter { $0.shape.count == 2 }
    var made = [WeightMatrix?](repeating: nil, count: plans.count)
    made.withUnsafeMutableBufferPointer { buffer in
      // Safe: every item writes its own element.
      nonisolated(unsafe) let results = buffer
      pool.run(count: plans.count) { index in
        results[index] = Self.matrix(plans[index], seed: UInt64(index))
        progress(plans[index].byteCount)
      }
    }
    matrices = Dictionary(
      zip(plans.map(\.name), made).compactMap { name, matrix in matrix.map { (name, $0) } },
      uniquingKeysWith: { first, _ in first })
  }

  private static func matrix(_ plan: TensorPlan, seed: UInt64) -> WeightMatrix {
    switch plan.action {
    case .quantize(let layout, _): .random(layout, seed: seed)
    case .keep:
      .random(plan.sourceType, rows: plan.shape[0], columns: plan.shape[1], seed: seed)
    }
  }

  package func matrix(named name: String) throws(IngotError) -> WeightMatrix {
    guard let matrix = matrices[name] else {
      throw IngotError("bench.tensor", "the shape has no such matrix", tensor: name)
    }
    return matrix
  }

  /// Ones, of the length the configuration calls for.
  package func vector(named name: String) throws(IngotError) -> [Float] {
    guard let tensor = configuration.tensors.first(where: { $0.name == name }) else {
      throw IngotError("bench.tensor", "the shape has no such vector", tensor: name)
    }
    return [Float](repeating: 1, count: tensor.shape.reduce(1, *))
  }

  package func exactRows(named name: String) throws(IngotError) -> [Int: [Float]] { [:] }
}

extension RandomWeights {
  /// What a recipe makes of a model of bf16 tensors; `bf16`, `f16` and `f32` keep every matrix in
  /// that type, for the full-precision path.
  ///
  /// - Throws: what the recipe throws when a tensor cannot follow it.
  package static func plan(
    _ configuration: ModelConfiguration, recipe: Recipe, type: ElementType = .bfloat16
  ) throws(IngotError) -> [TensorPlan] {
    try recipe.plan(
      for: configuration,
      tensors: configuration.tensors.map { (name: $0.name, shape: $0.shape, elementType: type) })
  }
}
