package import Bytes
package import Quantization
internal import Tensors

extension CastSource {
  /// The recipe of least error whose tensors take at most `targetBits` bits per weight, judged by
  /// a sample of the weights of each tensor.
  ///
  /// - Parameter progress: called when the next tensor's sample is looked at.
  /// - Throws: `recipe.targetBits` when no scheme is that small, or what reading throws.
  package func recipe(
    targetBits: Double, progress: @escaping () -> Void = {}
  ) throws(IngotError) -> Recipe {
    let indices = Dictionary(
      tensors.indices.map { (tensors[$0].name, $0) }, uniquingKeysWith: { first, _ in first })
    var current: String?
    let sensitivity = WeightSensitivity(of: configuration) { (tensor, rows) throws(IngotError) in
      if tensor.name != current { progress() }
      current = tensor.name
      guard let index = indices[tensor.name] else { return [] }
      let rowBytes = tensor.shape[1] * tensor.elementType.byteCount
      let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: rows.count * rowBytes, alignment: 64)
      defer { buffer.deallocate() }
      try read(tensor: index, at: rows.lowerBound * rowBytes, into: buffer)
      return Array(buffer)
    }
    return try Recipe.choose(
      targetBits: targetBits, for: configuration,
      tensors: tensors.map { (name: $0.name, shape: $0.shape, elementType: $0.type) },
      sensitivity: sensitivity)
  }
}
