internal import Architecture

extension ModelConfiguration {
  /// The first and the last eighth of the layers, one each at least where there are two: noise in them does
  /// more harm than between (`WeightSensitivity`).
  var outerLayers: [Int] {
    let edge = min(max(layerCount / 8, 1), layerCount / 2)
    return Array(0..<edge) + Array(layerCount - edge..<layerCount)
  }
}
