internal import CIngotKernels
package import Tensors

/// Quantizes tiles of weights with the instructions of this machine, to the same bytes on all.
package struct QuantizationKernel: Sendable {
  // Safe: the table is constant data in the binary.
  private nonisolated(unsafe) let pointer: UnsafePointer<ingot_quantizer>

  /// `scalar`, `avx2`, `avx512` or `neon`.
  package var name: String { String(cString: pointer.pointee.name) }

  /// What this machine can run, best first; the last one is `scalar`, the definition.
  package static let available: [QuantizationKernel] = {
    var all: [QuantizationKernel] = []
    while let pointer = ingot_quantizer_available(Int32(all.count)) {
      all.append(QuantizationKernel(pointer: pointer))
    }
    return all
  }()

  /// The one that goes with the arithmetic kernels in use, so that `INGOT_ISA` holds here too.
  package static let selected: QuantizationKernel = {
    // Wider arithmetic tables (`avx512vnni`, `amx`) need nothing wider here than AVX-512.
    let wanted = KernelTable.selected.name
    let isLimited = wanted == "scalar" || wanted == "avx2"
    return available.first { !isLimited || $0.name == wanted } ?? available[available.count - 1]
  }()

  /// How one tensor is quantized.
  package struct Task: Sendable {
    package let layout: TileLayout
    package let sourceType: ElementType
    package let searchesScales: Bool
    /// 16 ascending levels (cb4); ignored otherwise.
    package let codebook: [Int8]
    package let tensorScale: Float

    package init(
      layout: TileLayout, sourceType: ElementType, searchesScales: Bool, codebook: [Int8],
      tensorScale: Float
    ) {
      precondition(sourceType.isComputable, "weights are F32, F16 or BF16")
      precondition(layout.scheme.kind != .cb4 || codebook.count == 16, "a codebook has 16 levels")
      self.layout = layout
      self.sourceType = sourceType
      self.searchesScales = searchesScales
      self.codebook = codebook
      self.tensorScale = tensorScale
    }
  }

  /// What quantizing one tile did to weights w, which become v.
  package struct TileResult: Sendable {
    /// Σ (w − v)²
    package var error = 0.0
    /// Σ w²
    package var source = 0.0
    /// Σ v²
    package var dequantized = 0.0
    /// Σ w·v
    package var product = 0.0
    package var maximumError: Float = 0
    package var deadRows = 0
    package var constantRows = 0
    package var outlierGroups = 0
    package var vanishedGroups = 0
    /// Ticks of a clock in the search for scales and in encoding, of a sample of the groups: only
    /// their proportion means something.
    package var searchTicks = 0
    package var encodeTicks = 0

    package init() {}

    init(_ result: ingot_quantize_result) {
      error = result.error
      source = result.source
      dequantized = result.dequantized
      product = result.product
      maximumError = result.max_error
      deadRows = Int(result.dead_rows)
      constantRows = Int(result.constant_rows)
      outlierGroups = Int(result.outlier_groups)
      vanishedGroups = Int(result.vanished_groups)
      searchTicks = Int(result.search_ticks)
      encodeTicks = Int(result.encode_ticks)
    }
  }

  /// Bytes of working memory, aligned to 64, that `quantizeTile` needs.
  package static func scratchBytes(for layout: TileLayout) -> Int {
    32768 + 64 * layout.groupsPerRow
  }

  /// Quantizes up to 16 rows of row-major weights, of any alignment, into one tile.
  ///
  /// - Parameters:
  ///   - importance: one weight ≥ 0 of the squared error per column, or nil.
  /// - Returns: the fault that stopped it, or what it did.
  package func quantizeTile(
    _ task: Task, rows: Int, source: UnsafeRawBufferPointer, importance: [Float]?,
    into tile: UnsafeMutableRawBufferPointer, scratch: UnsafeMutableRawBufferPointer
  ) -> Result<TileResult, TileFault> {
    let layout = task.layout
    precondition((1...TileLayout.tileRows).contains(rows), "a tile has 1…16 rows")
    precondition(
      source.count == rows * layout.columns * task.sourceType.byteCount, "source of wrong size")
    precondition(tile.count == layout.tileBytes, "tile of wrong size")
    precondition(scratch.count >= Self.scratchBytes(for: layout), "too little scratch")
    precondition(importance == nil || importance?.count == layout.columns, "wrong importance")
    var description = ingot_quantize_task()
    description.columns = Int64(layout.columns)
    description.zero_offset = Int64(layout.zeroPointOffset)
    description.code_offset = Int64(layout.codeOffset)
    description.kind = Int32(layout.scheme.kind.rawValue)
    description.group = Int32(layout.scheme.groupSize)
    description.element = Int32(task.sourceType.rawValue)
    description.search = task.searchesScales ? 1 : 0
    description.tensor_scale = layout.scheme.kind == .cb4 ? task.tensorScale : 1
    if layout.scheme.kind == .cb4 {
      withUnsafeMutableBytes(of: &description.codebook) { bytes in
        for (index, level) in task.codebook.enumerated() {
          bytes[index] = UInt8(bitPattern: level)
        }
      }
    }
    var result = ingot_quantize_result()
    func run(_ weights: UnsafePointer<Float>?) {
      description.importance = weights
      // Safe: sizes were checked above; both buffers have a base because they are not empty.
      pointer.pointee.quantize_tile(
        &description, source.baseAddress!, Int32(rows),
        tile.baseAddress!.assumingMemoryBound(to: UInt8.self), scratch.baseAddress!, &result)
    }
    if let importance {
      importance.withUnsafeBufferPointer { run($0.baseAddress) }
    } else {
      run(nil)
    }
    return Self.outcome(result)
  }

  private static func outcome(_ result: ingot_quantize_result) -> Result<TileResult, TileFault> {
    let (row, group) = (Int(result.fault_row), Int(result.fault_group))
    switch Int(result.fault) {
    case 0:
      return .success(TileResult(result))
    case 1: return .failure(TileFault(kind: .notFinite, row: row, group: group))
    default: return .failure(TileFault(kind: .scaleOverflow, row: row, group: group))
    }
  }

  /// The largest magnitude among `source`; infinite or NaN when one of them is.
  package func largest(of source: UnsafeRawBufferPointer, type: ElementType) -> Float {
    precondition(type.isComputable && source.count % type.byteCount == 0, "no such weights")
    guard let base = source.baseAddress, !source.isEmpty else { return 0 }
    return pointer.pointee.largest(base, Int32(type.rawValue), Int64(source.count / type.byteCount))
  }
}

/// Why a tile cannot be quantized, and where: the first group, then the first row of the tile.
package struct TileFault: Error, Sendable, Hashable {
  package enum Kind: Sendable, Hashable {
    case notFinite
    case scaleOverflow
  }
  package let kind: Kind
  package let row: Int
  package let group: Int

  package init(kind: Kind, row: Int, group: Int) {
    self.kind = kind
    self.row = row
    self.group = group
  }
}
