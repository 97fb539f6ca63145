internal import Architecture
package import Bytes
package import Kernels
package import ReFusion

/// A model laid out for measuring: its matrices in the order a forward uses them.
package struct BenchmarkModel: Sendable {
  package let model: ReFusionModel
  /// For each layer, the matrices that share an input: q, k, v; o; gate, up; down.
  package let blocks: [[[WeightMatrix]]]
  /// For each layer, the number of the layout its matrices have, in order of appearance.
  package let blockForms: [Int]
  package let head: WeightMatrix

  package init(source: some WeightSource) throws(IngotError) {
    model = try ReFusionModel(source: source)
    let shape = source.configuration
    var blocks: [[[WeightMatrix]]] = []
    for layer in 0..<shape.layerCount {
      var groups: [[WeightMatrix]] = []
      for names in Self.inputGroups {
        var group: [WeightMatrix] = []
        for name in names {
          group.append(
            try source.matrix(
              named: ModelConfiguration.layerTensor(layer, name + "_proj.weight")))
        }
        groups.append(group)
      }
      blocks.append(groups)
    }
    self.blocks = blocks
    var forms: [[Layout]] = []
    blockForms = blocks.map { block in
      let form = block.joined().map { Layout($0) }
      if let known = forms.firstIndex(of: form) { return known }
      forms.append(form)
      return forms.count - 1
    }
    head = try source.matrix(
      named: shape.tiesEmbeddings ? ModelConfiguration.embeddingName : ModelConfiguration.headName)
  }

  private static let inputGroups = [
    ["self_attn.q", "self_attn.k", "self_attn.v"], ["self_attn.o"], ["mlp.gate", "mlp.up"],
    ["mlp.down"],
  ]

  /// One matrix of every layout among the linear layers.
  var distinctMatrices: [WeightMatrix] {
    var seen = Set<Layout>()
    return blocks.joined().joined().filter {
      seen.insert(Layout($0)).inserted
    }
  }

  /// Whether layers differ in how they are stored.
  var isMixed: Bool { blockForms.contains { $0 > 0 } }

  /// Of all layers, those of each form.
  package var formShares: [Double] {
    var counts = [Double](repeating: 0, count: (blockForms.max() ?? 0) + 1)
    for form in blockForms { counts[form] += 1 }
    return counts.map { $0 / Double(blockForms.count) }
  }

  private struct Layout: Hashable {
    let rows: Int
    let columns: Int
    let storage: WeightMatrix.Storage

    init(_ matrix: WeightMatrix) {
      (rows, columns, storage) = (matrix.rows, matrix.columns, matrix.storage)
    }
  }
}

/// What was measured.
package struct BenchmarkModelSummary: Sendable {
  package var name: String
  /// The recipe of random weights; nil for a file.
  package var recipe: String?
  package var parameters: Int
  /// Bytes of all matrices.
  package var bytes: Int

  package init(name: String, recipe: String?, source: some WeightSource) throws(IngotError) {
    self.name = name
    self.recipe = recipe
    parameters = source.configuration.parameterCount
    bytes = 0
    for tensor in source.configuration.tensors where tensor.shape.count == 2 {
      bytes += try source.matrix(named: tensor.name).byteCount
    }
  }

  /// Bits of storage for each parameter.
  package var bitsPerWeight: Double { 8 * Double(bytes) / Double(max(parameters, 1)) }

  func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.member("name", name)
      if let recipe { writer.member("recipe", recipe) }
      writer.member("parameters", parameters)
      writer.member("bytes", bytes)
      writer.member("bits_per_weight", bitsPerWeight)
    }
  }
}
