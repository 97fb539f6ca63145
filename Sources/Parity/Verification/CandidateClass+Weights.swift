internal import Architecture
package import Bytes
internal import Kernels
package import ReFusion

extension ParityPolicy.CandidateClass {
  /// What a candidate gave up against its reference, from how both store their matrices.
  ///
  /// - Throws: what reading a tensor of either throws.
  package init(
    reference: some WeightSource, candidate: some WeightSource
  ) throws(IngotError) {
    var isLossless = true
    var hasInt8 = false
    var hasFewBits = false
    for tensor in candidate.configuration.tensors where tensor.shape.count == 2 {
      let own = try candidate.matrix(named: tensor.name).storage
      let other = try reference.matrix(named: tensor.name).storage
      if own == other { continue }
      isLossless = false
      guard case .tiled(let layout) = own else { continue }
      if layout.scheme.kind == .int8 { hasInt8 = true } else { hasFewBits = true }
    }
    self = isLossless ? .lossless : hasFewBits ? .fourBit : hasInt8 ? .int8 : .half
  }
}
