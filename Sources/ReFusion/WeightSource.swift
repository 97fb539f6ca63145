package import Architecture
package import Bytes
package import Kernels

/// Where a model's tensors come from: an `.ingot` file, or a checkpoint folder as it is.
package protocol WeightSource: Sendable {
  var configuration: ModelConfiguration { get }
  /// A matrix by its Hugging Face name, as stored: nothing is copied.
  func matrix(named name: String) throws(IngotError) -> WeightMatrix
  /// A norm weight or bias, widened to f32.
  func vector(named name: String) throws(IngotError) -> [Float]
  /// Rows of a quantized matrix that are also kept exactly, by row index.
  func exactRows(named name: String) throws(IngotError) -> [Int: [Float]]
}
