internal import Bytes
internal import IngotFormat
internal import Quantization
internal import Tensors

/// A piece of a cast that one thread does on its own.
enum CastPiece: Sendable {
  /// Hash the next bytes of a source file for the provenance.
  case hash(part: Int, Range<Int>)
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
  /// Source bytes handled between two barriers. Tensors that must be surveyed before they are
  /// quantized are read twice within one wave, the second time from the page cache.
  static let waveBytes = 512 << 20

  /// Tensors still to do, cut into waves, in an order that reads each source file from front to
  /// back. As many files advance together as there are threads, since one thread at a time can
  /// hash a file.
  ///
  /// - Parameter isDone: tensors that an interrupted run completed.
  func waves(skipping isDone: (Int) -> Bool, partsAtATime: Int) -> [[Int]] {
    var ends = source.parts.map { _ in 0 }
    let order = source.tensors.indices.filter { !isDone($0) }
      .map { tensor -> (group: Int, start: Int, tensor: Int) in
        let part = source.part(ofTensor: tensor)
        defer { ends[part] += source.tensors[tensor].byteCount }
        return (part / partsAtATime, ends[part], tensor)
      }
      .sorted { $0 < $1 }
    var waves: [[Int]] = []
    var bytes = 0
    for (_, _, tensor) in order {
      if waves.isEmpty || bytes >= Self.waveBytes {
        waves.append([])
        bytes = 0
      }
      waves[waves.count - 1].append(tensor)
      bytes += source.tensors[tensor].byteCount
    }
    return waves
  }

  /// Which bytes of which source files to hash beside each wave: each file in order from its first
  /// to its last byte, about where the wave reads it, so that the bytes come from the page cache.
  ///
  /// What is hashed already shortens the share of every wave alike. One thread at a time can hash
  /// a file, so a wave of hashing alone would leave the others idle.
  func hashes(beside waves: [[Int]]) -> [[CastPiece]] {
    var done = source.parts.indices.map { part in
      source.parts[part].checksum == nil
        ? source.hash(ofPart: part).done : source.parts[part].byteCount
    }
    var tensorBytesLeft = done.map { _ in 0 }
    for tensor in waves.joined() {
      tensorBytesLeft[source.part(ofTensor: tensor)] += source.tensors[tensor].byteCount
    }
    var pieces = waves.map { wave -> [CastPiece] in
      var own: [CastPiece] = []
      let tensors = Dictionary(grouping: wave) { source.part(ofTensor: $0) }
      for (part, tensors) in tensors.sorted(by: { $0.key < $1.key }) {
        let bytes = tensors.reduce(0) { $0 + source.tensors[$1].byteCount }
        let left = source.parts[part].byteCount - done[part]
        // As a fraction, since the product of two lengths need not fit.
        let share = Double(bytes) / Double(max(tensorBytesLeft[part], 1))
        let end = done[part] + Int(Double(left) * share)
        if end > done[part] { own.append(.hash(part: part, done[part]..<end)) }
        tensorBytesLeft[part] -= bytes
        done[part] = end
      }
      return own
    }
    // A resumed run may have nothing to cast and still has to hash.
    let rest = done.indices.filter { done[$0] < source.parts[$0].byteCount }.map { part in
      CastPiece.hash(part: part, done[part]..<source.parts[part].byteCount)
    }
    if !rest.isEmpty { pieces.append(rest) }
    return pieces
  }

  /// The layout and rounding of a tensor to be quantized; nil for the others.
  func quantization(ofTensor index: Int) -> (layout: TileLayout, method: RoundingMethod)? {
    guard case .quantize(let plan) = actions[index],
      case .quantize(let layout, let method) = plan.action
    else { return nil }
    return (layout, method)
  }

  /// Row blocks of a tensor to be quantized: whole tiles of about `pieceBytes`.
  func rowBlocks(ofTensor index: Int, _ layout: TileLayout) -> [Range<Int>] {
    let rowBytes = layout.columns * source.tensors[index].type.byteCount
    let rows = max(1, Self.pieceBytes / (rowBytes * TileLayout.tileRows)) * TileLayout.tileRows
    return stride(from: 0, to: layout.rows, by: rows).map {
      $0..<min($0 + rows, layout.rows)
    }
  }

  func pieces(ofTensor index: Int) -> [CastPiece] {
    let tensor = source.tensors[index]
    if let (layout, _) = quantization(ofTensor: index) {
      return [.frame(tensor: index)]
        + rowBlocks(ofTensor: index, layout).map { .rows(tensor: index, $0) }
    }
    // Output pieces must end on the checksum's subtrees, so pieces are cut by the wider type.
    let outputBytes = file.tensors[index].byteRange.count
    guard outputBytes > 0 else { return [] }
    let elements = tensor.byteCount / tensor.type.byteCount
    let step = Self.pieceBytes / 4
    return stride(from: 0, to: elements, by: step).map {
      .dense(tensor: index, first: $0, count: min(step, elements - $0))
    }
  }

  /// Source bytes a piece consumes, for progress.
  func workBytes(_ piece: CastPiece) -> Int {
    switch piece {
    case .hash(_, let range): range.count
    case .dense(let tensor, _, let count): count * source.tensors[tensor].type.byteCount
    case .rows(let tensor, let rows):
      rows.count * source.tensors[tensor].byteCount / max(source.tensors[tensor].shape[0], 1)
    case .frame: 0
    }
  }
}
