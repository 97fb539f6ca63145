internal import Architecture
internal import Bytes
internal import Kernels
internal import ReFusion

/// The reference's weights but for one tensor, which is the candidate's.
struct MixedWeights: WeightSource {
  let reference: any WeightSource
  let candidate: any WeightSource
  let exchanged: String

  var configuration: ModelConfiguration { reference.configuration }

  private func source(_ name: String) -> any WeightSource {
    name == exchanged ? candidate : reference
  }

  func matrix(named name: String) throws(IngotError) -> WeightMatrix {
    try source(name).matrix(named: name)
  }

  func vector(named name: String) throws(IngotError) -> [Float] {
    try source(name).vector(named: name)
  }

  func exactRows(named name: String) throws(IngotError) -> [Int: [Float]] {
    try source(name).exactRows(named: name)
  }
}
