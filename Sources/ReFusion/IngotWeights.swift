package import Architecture
public import Bytes
public import IngotFormat
package import Kernels
internal import Tensors

/// The tensors of an `.ingot` file as the runtime uses them: views into the mapping.
package struct IngotWeights: WeightSource {
  package let file: IngotFile
  /// Shapes the configuration calls for, by tensor name.
  private let shapes: [String: [Int]]

  package init(_ file: IngotFile) {
    self.file = file
    shapes = Dictionary(
      file.configuration.tensors.map { ($0.name, $0.shape) },
      uniquingKeysWith: { first, _ in first })
  }

  package var configuration: ModelConfiguration { file.configuration }

  package func matrix(named name: String) throws(IngotError) -> WeightMatrix {
    let tensor = try find(name, rank: 2)
    let bytes = file.bytes(of: tensor)
    switch tensor.storage {
    case .dense(let type):
      guard type.isComputable else { throw uncomputable(tensor) }
      return WeightMatrix(
        dense: type, rows: tensor.shape[0], columns: tensor.shape[1], bytes: bytes,
        owner: file.mapping)
    case .tiled(let layout):
      return WeightMatrix(
        tiled: layout, bytes: UnsafeRawBufferPointer(rebasing: bytes[..<layout.payloadBytes]),
        owner: file.mapping)
    }
  }

  package func vector(named name: String) throws(IngotError) -> [Float] {
    let tensor = try find(name, rank: 1)
    guard case .dense(let type) = tensor.storage, type.isComputable else {
      throw uncomputable(tensor)
    }
    return HalfPrecision.floats(file.bytes(of: tensor), type: type)
  }

  package func exactRows(named name: String) throws(IngotError) -> [Int: [Float]] {
    let tensor = try find(name, rank: 2)
    guard let exact = try file.exactRows(of: tensor) else { return [:] }
    var rows: [Int: [Float]] = [:]
    for row in exact.rows {
      if let bytes = exact.bytes(ofRow: row) {
        rows[row] = HalfPrecision.floats(bytes, type: exact.type)
      }
    }
    return rows
  }

  /// The tensor with the shape the configuration calls for.
  private func find(_ name: String, rank: Int) throws(IngotError) -> IngotTensor {
    guard let tensor = file.tensor(named: name) else {
      throw IngotError(
        "model.missingTensor", "the model needs it and the file does not have it", path: file.path,
        tensor: name, advice: "Convert the checkpoint again.")
    }
    guard let expected = shapes[name], expected == tensor.shape, tensor.shape.count == rank else {
      throw IngotError(
        "model.shape",
        "has shape \(tensor.shape) where the configuration calls for \(shapes[name] ?? [])",
        path: file.path, tensor: name, advice: "Convert the checkpoint again.")
    }
    return tensor
  }

  private func uncomputable(_ tensor: IngotTensor) -> IngotError {
    IngotError(
      "model.elementType", "is stored as \(tensor.typeName), which the runtime cannot use here",
      path: file.path, tensor: tensor.name)
  }
}

extension ReFusionModel {
  /// Opens an `.ingot` file and binds its weights: no tensor data is read.
  ///
  /// - Throws: what `IngotFile.open` throws, `model.missingTensor`, `model.shape` or
  ///   `model.elementType`.
  public static func open(_ path: String) throws(IngotError) -> ReFusionModel {
    try ReFusionModel(file: IngotFile.open(path))
  }

  /// Binds the weights of an open file, which stays mapped as long as the model lives.
  public convenience init(file: IngotFile) throws(IngotError) {
    // A pass over the weights misses the translation cache at every small page.
    file.mapping.advise(.hugePages, 0..<file.mapping.count)
    try self.init(source: IngotWeights(file))
  }
}
