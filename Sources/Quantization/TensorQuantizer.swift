package import Bytes
package import Kernels
package import Tensors

/// Quantizes one tensor, a block of rows at a time, from any number of threads.
///
/// ```swift
/// var quantizer = try TensorQuantizer(layout: layout, method: .search, sourceType: .bfloat16, name: name)
/// if quantizer.needsSurvey {
///   var survey = TensorSurvey()
///   for block in blocks { survey.merge(try quantizer.survey(rows: block.rows, source: block.bytes)) }
///   try quantizer.prepare(survey)
/// }
/// for block in blocks {
///   try quantizer.quantize(rows: block.rows, source: block.bytes, into: tiles, statistics: &s)
/// }
/// ```
///
/// The bytes depend on the weights, the layout, the method and the importance alone: not on the
/// blocks, the threads or the instruction set.
package struct TensorQuantizer: Sendable {
  package let layout: TileLayout
  package let method: RoundingMethod
  package let sourceType: ElementType
  package let name: String
  package private(set) var parameters: TensorParameters
  private let importance: [Float]?
  private let kernel: QuantizationKernel
  private var isReady: Bool

  /// - Parameters:
  ///   - sourceType: F32, F16 or BF16.
  ///   - importance: one weight ≥ 0 per column of how much its squared error counts in the search.
  /// - Throws: `quantize.elementType` or `quantize.importance`.
  package init(
    layout: TileLayout, method: RoundingMethod, sourceType: ElementType, name: String,
    importance: [Float]? = nil, kernel: QuantizationKernel = .selected
  ) throws(IngotError) {
    guard sourceType.isComputable else {
      throw IngotError(
        "quantize.elementType", "holds \(sourceType.name), which cannot be quantized",
        tensor: name, advice: "Quantization reads F32, F16 and BF16.")
    }
    if let importance {
      guard importance.count == layout.columns,
        importance.allSatisfy({ $0 >= 0 && $0 <= 0x1p20 })
      else {
        throw IngotError(
          "quantize.importance",
          "has importance that is not one number from 0 to 2²⁰ for each of its columns",
          tensor: name)
      }
    }
    self.layout = layout
    self.method = method
    self.sourceType = sourceType
    self.name = name
    self.importance = importance
    self.kernel = kernel
    parameters = TensorParameters()
    isReady = layout.scheme.kind != .cb4
  }

  /// Whether `survey` must see every row, and `prepare` be called, before `quantize`.
  package var needsSurvey: Bool { layout.scheme.kind == .cb4 }

  /// The 64 bytes before the first tile.
  package func header() -> [UInt8] { parameters.header }

  /// Looks at a block of rows. Thread-safe.
  ///
  /// - Throws: `quantize.notFinite`.
  package func survey(
    rows: Range<Int>, source: UnsafeRawBufferPointer
  ) throws(IngotError) -> TensorSurvey {
    let rowBytes = checked(rows, source)
    var survey = TensorSurvey()
    survey.largest = kernel.largest(of: source, type: sourceType)
    guard survey.largest < .infinity else { throw notFinite(rows, source) }
    let plan = TensorSurvey.Plan(layout)
    for row in rows where row % plan.rowStride == 0 {
      for column in plan.firstColumns(row: row) {
        let start = (row - rows.lowerBound) * rowBytes + column * sourceType.byteCount
        let weights = (0..<plan.partLength).map { index in
          weight(in: source, at: start + index * sourceType.byteCount)
        }
        survey.samples.append(.init(row: row, firstColumn: column, weights: weights))
      }
    }
    return survey
  }

  /// Chooses the tensor's parameters from a survey of all its rows.
  ///
  /// - Throws: `quantize.scaleOverflow`.
  package mutating func prepare(_ survey: TensorSurvey) throws(IngotError) {
    isReady = true
    guard needsSurvey else { return }
    let fit = CodebookFit(layout: layout, searchesScales: method == .search, kernel: kernel)
    guard let chosen = fit.parameters(for: survey) else {
      throw IngotError(
        "quantize.scaleOverflow", "has weights up to \(survey.largest), too large for a scale",
        tensor: name, advice: "Keep this tensor in full precision.")
    }
    parameters = chosen
  }

  /// Quantizes a block of rows into its tiles. Thread-safe on blocks that share no tile.
  ///
  /// - Parameters:
  ///   - rows: starts at a multiple of 16; ends at one, or at the tensor's last row.
  ///   - source: those rows, row-major, of any alignment.
  ///   - tiles: exactly the bytes of the tiles of those rows.
  /// - Throws: `quantize.notFinite` or `quantize.scaleOverflow` for the first such group.
  package func quantize(
    rows: Range<Int>, source: UnsafeRawBufferPointer, into tiles: UnsafeMutableRawBufferPointer,
    statistics: inout TensorStatistics
  ) throws(IngotError) {
    let rowBytes = checked(rows, source)
    let height = TileLayout.tileRows
    precondition(isReady, "prepare comes before quantize")
    precondition(
      rows.lowerBound % height == 0
        && (rows.upperBound % height == 0 || rows.upperBound == layout.rows),
      "blocks of rows are whole tiles")
    let tileCount = (rows.count + height - 1) / height
    precondition(tiles.count == tileCount * layout.tileBytes, "tiles of wrong size")
    let task = QuantizationKernel.Task(
      layout: layout, sourceType: sourceType, searchesScales: method == .search,
      codebook: parameters.codebook, tensorScale: parameters.tensorScale)
    let scratch = UnsafeMutableRawBufferPointer.allocate(
      byteCount: QuantizationKernel.scratchBytes(for: layout), alignment: 64)
    defer { scratch.deallocate() }
    for tile in 0..<tileCount {
      let first = tile * height
      let count = min(height, rows.count - first)
      let outcome = kernel.quantizeTile(
        task, rows: count,
        source: .init(rebasing: source[first * rowBytes..<(first + count) * rowBytes]),
        importance: importance,
        into: .init(rebasing: tiles[tile * layout.tileBytes..<(tile + 1) * layout.tileBytes]),
        scratch: scratch)
      switch outcome {
      case .success(let result):
        statistics.add(result, tile: rows.lowerBound / height + tile)
      case .failure(let fault):
        throw error(fault, firstRow: rows.lowerBound + first)
      }
    }
  }

  /// Bytes of one row of the source.
  private func checked(_ rows: Range<Int>, _ source: UnsafeRawBufferPointer) -> Int {
    let rowBytes = layout.columns * sourceType.byteCount
    precondition(rows.lowerBound >= 0 && rows.upperBound <= layout.rows, "no such rows")
    precondition(source.count == rows.count * rowBytes, "source of wrong size")
    return rowBytes
  }

  private func weight(in source: UnsafeRawBufferPointer, at offset: Int) -> Float {
    if sourceType == .float32 {
      let bits = source.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
      return Float(bitPattern: UInt32(littleEndian: bits))
    }
    let bits = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    return sourceType == .float16
      ? HalfPrecision.float(fromHalf: bits) : HalfPrecision.float(fromBrain: bits)
  }

  private func error(_ fault: TileFault, firstRow: Int) -> IngotError {
    let row = firstRow + fault.row
    let place = "row \(row), group \(fault.group) (columns \(columns(fault.group)))"
    switch fault.kind {
    case .notFinite:
      return IngotError(
        "quantize.notFinite", "has NaN or infinity in \(place)", tensor: name,
        advice: "The checkpoint is damaged or was saved after training diverged.")
    case .scaleOverflow:
      return IngotError(
        "quantize.scaleOverflow", "has weights too large for a 16-bit scale in \(place)",
        tensor: name, advice: "Keep this tensor in full precision.")
    }
  }

  private func columns(_ group: Int) -> String {
    let size = layout.scheme.groupSize
    return "\(group * size)…\((group + 1) * size - 1)"
  }

  /// The error that names the first weight of a block that is not finite.
  private func notFinite(_ rows: Range<Int>, _ source: UnsafeRawBufferPointer) -> IngotError {
    let size = sourceType.byteCount
    let index = (0..<source.count / size).first { !weight(in: source, at: $0 * size).isFinite } ?? 0
    let row = rows.lowerBound + index / layout.columns
    let group = index % layout.columns / layout.scheme.groupSize
    return error(TileFault(kind: .notFinite, row: 0, group: group), firstRow: row)
  }
}
