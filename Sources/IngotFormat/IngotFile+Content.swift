internal import Bytes
internal import Tensors

extension IngotFile {
  /// What breaks the rules for the contents of a tiled tensor: things that opening, which reads no
  /// tensor data, cannot see.
  func contentProblems(_ tensor: IngotTensor) -> [IngotError] {
    guard case .tiled(let layout) = tensor.storage else { return [] }
    var problems: [IngotError] = []
    do throws(IngotError) {
      _ = try exactRows(of: tensor)
      try checkTileHeader(tensor, layout)
    } catch {
      problems.append(error)
    }
    return problems
  }

  private func checkTileHeader(
    _ tensor: IngotTensor, _ layout: TileLayout
  ) throws(IngotError) {
    func fault(_ message: String, _ offset: Int) -> IngotError {
      IngotError(
        "ingot.tileHeader", message, path: path, tensor: tensor.name,
        offset: tensor.byteRange.lowerBound + offset)
    }
    let reader = ByteReader(bytes(of: tensor))
    let bits: UInt32 = try reader.integer(at: TileLayout.tensorScaleOffset)
    let scale = Float(bitPattern: bits)
    let isCodebook = layout.scheme.kind == .cb4
    guard isCodebook ? scale.isFinite && scale >= 0 : scale == 1 else {
      throw fault("the tensor scale is \(scale)", TileLayout.tensorScaleOffset)
    }
    var levels: [Int8] = []
    for index in 0..<16 { levels.append(try reader.integer(at: index)) }
    guard
      isCodebook
        ? zip(levels, levels.dropFirst()).allSatisfy({ $0 < $1 })
        : levels.allSatisfy({ $0 == 0 })
    else { throw fault("the codebook \(levels) is not 16 ascending levels", 0) }
    let rest = TileLayout.tensorScaleOffset + 4
    guard try reader.isZero(at: rest, count: TileLayout.headerBytes - rest) else {
      throw fault("reserved header bytes are not zero", rest)
    }
  }
}
