internal import Bytes
internal import IngotFormat
internal import Quantization
internal import Tensors

/// A piece of a cast that one thread does on its own.
enum CastPiece: Sendable {
  /// Hash a whole source file for the provenance.
  case hash(part: Int)
  /// Copy or convert `count` elements of a dense tensor.
  case dense(tensor: Int, first: Int, count: Int)
  /// Quantize rows of a tensor, a multiple of 16 but at its end.
  case rows(tensor: Int, Range<Int>)
  /// Write a quantized tensor's header and exact rows.
  case frame(tensor: Int)
}

extension CastPlan {
  /// Source bytes of a piece: long enough for the disk, short enough to balance two threads.
  /// A multiple of 1 MiB, so that dense output is hashed as it is written.
  static let pieceBytes = 4 << 20

  /// All pieces in an order that reads each source file from front to back.
  ///
  /// - Parameter isDone: tensors that an interrupted run completed.
  func pieces(skipping isDone: (Int) -> Bool) -> [CastPiece] {
    let order = source.tensors.indices.sorted {
      (source.part(ofTensor: $0), $0) < (source.part(ofTensor: $1), $1)
    }
    var pieces: [CastPiece] = []
    var hashed = -1
    for tensor in order {
      let part = source.part(ofTensor: tensor)
      while hashed < part, hashed + 1 < source.parts.count {
        hashed += 1
        pieces.append(.hash(part: hashed))
      }
      if !isDone(tensor) { pieces += self.pieces(ofTensor: tensor) }
    }
    while hashed + 1 < source.parts.count {
      hashed += 1
      pieces.append(.hash(part: hashed))
    }
    return pieces
  }

  private func pieces(ofTensor index: Int) -> [CastPiece] {
    let tensor = source.tensors[index]
    if case .quantize(let plan) = actions[index], case .quantize(let layout, _) = plan.action {
      let rowBytes = layout.columns * tensor.type.byteCount
      let rows = max(1, Self.pieceBytes / (rowBytes * TileLayout.tileRows)) * TileLayout.tileRows
      let ranges = stride(from: 0, to: layout.rows, by: rows).map {
        CastPiece.rows(tensor: index, $0..<min($0 + rows, layout.rows))
      }
      return [.frame(tensor: index)] + ranges
    }
    // Output pieces must end on the checksum's chunks, so pieces are cut by the wider type.
    let outputBytes = file.tensors[index].byteRange.count
    guard outputBytes > 0 else { return [] }
    let elements = tensor.byteCount / tensor.type.byteCount
    let step = Self.pieceBytes / 4
    return stride(from: 0, to: elements, by: step).map {
      .dense(tensor: index, first: $0, count: min(step, elements - $0))
    }
  }

  /// Source bytes a piece consumes, for progress.
  func sourceBytes(_ piece: CastPiece) -> Int {
    switch piece {
    case .hash(let part): source.parts[part].byteCount
    case .dense(let tensor, _, let count): count * source.tensors[tensor].type.byteCount
    case .rows(let tensor, let rows):
      rows.count * source.tensors[tensor].byteCount / max(source.tensors[tensor].shape[0], 1)
    case .frame: 0
    }
  }
}
