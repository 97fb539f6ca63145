package import Tensors

/// One tensor as a safetensors header describes it, with everything checked.
package struct SafetensorsEntry: Sendable, Hashable {
  package let name: String
  package let type: ElementType
  /// Row-major dimensions; empty for a scalar, and any of them may be zero.
  package let shape: [Int]
  /// Where the tensor lies, in bytes from the start of the file.
  package let range: Range<Int>

  package var byteCount: Int { range.count }
  package var elementCount: Int { range.count / type.byteCount }
}
