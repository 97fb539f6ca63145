package import Architecture
package import Bytes
package import Tensors
package enum QuantizationMethod: Sendable { case plain, search }
package struct TensorPlan: Sendable {
  package enum Action: Sendable { case keep; case quantize(TileLayout, QuantizationMethod) }
  package let name: String
  package let action: Action
  package let exactRows: [Int]
}
package struct Recipe: Sendable {
  package let canonicalText: String
  package func plan(for model: ModelConfiguration, tensors: [(name: String, shape: [Int], elementType: ElementType)]) throws(IngotError) -> [TensorPlan] { [] }
}
