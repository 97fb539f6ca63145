import Kernels
import Tensors
import Testing

@Suite struct TiledProductTests {
  static let pools = [1, 2, 3, 5].map { ThreadPool(threads: $0) }

  /// The definition of the quantized product, written a second time from the layout's own
  /// description and in plain Swift.
  static func expected(_ matrix: WeightMatrix, _ input: [Float], tokens: Int) throws -> [UInt32] {
    guard case .tiled(let layout) = matrix.storage else { return [] }
    let bytes = matrix.bytes
    var result: [UInt32] = []
    for token in 0..<tokens {
      let x = Array(input[token * matrix.columns..<(token + 1) * matrix.columns])
      for row in 0..<matrix.rows {
        result.append(output(layout, bytes, row: row, x).bitPattern)
      }
    }
    return result
  }

  private static func output(
    _ layout: TileLayout, _ bytes: UnsafeRawBufferPointer, row: Int, _ x: [Float]
  ) -> Float {
    let tile = UnsafeRawBufferPointer(rebasing: bytes[layout.tileOffset(row / 16)...])
    let isExact = layout.scheme.kind == .cb4 && layout.scheme.groupSize == 16
    var out: Float = 0
    for start in stride(from: 0, to: x.count, by: 128) {
      let block = Array(x[start..<min(start + 128, x.count)])
      let maximum = block.map(abs).max() ?? 0
      let codes = block.map { value in
        maximum == 0 ? 0 : Int((value * (127 / maximum)).rounded(.toNearestOrEven))
      }
      var sum: Float = 0
      var exact = 0
      for offset in stride(from: 0, to: block.count, by: layout.scheme.groupSize) {
        let group = (start + offset) / layout.scheme.groupSize
        var dot = 0
        for column in offset..<offset + layout.scheme.groupSize {
          dot +=
            max(-127, min(127, codes[column]))
            * weight(layout, bytes, tile, row: row % 16, column: start + column)
        }
        let scale = scale(layout, tile, group * 16 + row % 16)
        // Whole multiples of the smallest scale, 2⁻¹⁹, are summed exactly.
        if isExact { exact += dot * Int(scale * 0x1p19) }
        sum = sum.addingProduct(Float(dot), scale)
      }
      if isExact { sum = Float(exact) * 0x1p-19 }
      out = out.addingProduct(sum, maximum / 127)
    }
    let tensorScale = bytes.loadUnaligned(
      fromByteOffset: TileLayout.tensorScaleOffset, as: Float.self)
    return out * tensorScale
  }

  private static func scale(
    _ layout: TileLayout, _ tile: UnsafeRawBufferPointer, _ index: Int
  ) -> Float {
    if layout.scheme.kind == .cb4 { return HalfPrecision.float(fromS1E2M5: tile[index]) }
    return HalfPrecision.float(
      fromHalf: tile.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
  }

  private static func weight(
    _ layout: TileLayout, _ bytes: UnsafeRawBufferPointer, _ tile: UnsafeRawBufferPointer,
    row: Int, column: Int
  ) -> Int {
    let position = layout.codePosition(row: row, column: column)
    let byte = tile[position.byte]
    let code = Int(position.isHigh ? byte >> 4 : byte & 15)
    switch layout.scheme.kind {
    case .int8: return Int(Int8(bitPattern: byte))
    case .int6:
      let high = layout.highBitsPosition(row: row, column: column).map {
        Int(tile[$0.byte] >> $0.shift & 3)
      }
      return (high ?? 0) << 4 + code - 32
    case .int4: return code - 8
    case .int4z:
      let group = column / layout.scheme.groupSize
      return code - Int(tile[layout.zeroPointOffset + group * 16 + row])
    case .cb4: return Int(Int8(bitPattern: bytes[code]))
    }
  }

  /// Activations with a zero block, a denormal one and a large one among normal ones.
  static func input(tokens: Int, columns: Int) -> [Float] {
    var random = SeededGenerator(7)
    var input = random.normals(tokens * columns)
    for token in 0..<tokens where columns >= 64 {
      for column in 0..<32 {
        switch token % 5 {
        case 1: input[token * columns + column] = 0
        case 2: input[token * columns + column] *= 1e30
        case 3: input[token * columns + column] *= 1e-30
        default: break
        }
      }
    }
    return input
  }

  @Test(arguments: Fixture.schemes)
  func scalarKernelIsTheDefinition(_ scheme: QuantizationScheme) throws {
    for (rows, columns, tokens) in [(16, 128, 1), (19, 384, 3), (5, scheme.groupSize, 2)] {
      let matrix = try Fixture.tiled(scheme, rows: rows, columns: columns)
      let input = Self.input(tokens: tokens, columns: columns)
      let found = product(
        [matrix], input, tokens: tokens, arithmetic: .quantized, kernels: .scalar,
        pool: Self.pools[0])
      #expect(try found == [Self.expected(matrix, input, tokens: tokens)])
    }
  }

  @Test(arguments: Fixture.schemes)
  func everyTableEqualsTheScalarOne(_ scheme: QuantizationScheme) throws {
    let widths = Set([scheme.groupSize, 192, 640].map { $0 / scheme.groupSize })
      .filter { $0 > 0 }.map { $0 * scheme.groupSize }.sorted()
    for columns in widths {
      for rows in [1, 33, 87] {
        let matrix = try Fixture.tiled(scheme, rows: rows, columns: columns)
        for tokens in [0, 1, 2, 3, 5, 8, 13, 16, 33] {
          let input = Self.input(tokens: tokens, columns: columns)
          let expected = product(
            [matrix], input, tokens: tokens, arithmetic: .quantized, kernels: .scalar,
            pool: Self.pools[0])
          for table in KernelTable.available {
            let found = product(
              [matrix], input, tokens: tokens, arithmetic: .quantized, kernels: table,
              pool: Self.pools[(rows + tokens) % 4])
            #expect(
              found == expected, "\(table.name) \(scheme.name) \(rows)×\(columns) × \(tokens)")
          }
        }
      }
    }
  }

  @Test func manyThreadsAndMixedSchemesGiveTheSameBits() throws {
    let matrices = try Fixture.schemes.map { try Fixture.tiled($0, rows: 211, columns: 384) }
    for tokens in [1, 33] {
      let input = Self.input(tokens: tokens, columns: 384)
      let expected = product(
        matrices, input, tokens: tokens, arithmetic: .quantized, kernels: .scalar,
        pool: Self.pools[0])
      for table in KernelTable.available {
        for pool in Self.pools {
          let found = product(
            matrices, input, tokens: tokens, arithmetic: .quantized, kernels: table, pool: pool)
          #expect(found == expected, "\(table.name), \(pool.threads) threads")
        }
      }
    }
  }

  /// What is no number counts as 0, and the reciprocal of a block's maximum may be infinite.
  @Test func strangeActivationsAreTheSameInEveryTable() throws {
    let (columns, tokens) = (256, 13)
    // Token 1, its first block: one number of it, or all of them.
    let strange: [(values: Range<Int>, value: Float)] =
      [.nan, .infinity, -.infinity, .greatestFiniteMagnitude].map { (300..<301, $0) }
      + [.nan, .leastNonzeroMagnitude, 1e-39, -1e-37].map { (256..<384, $0) }
    for scheme in Fixture.schemes {
      let matrix = try Fixture.tiled(scheme, rows: 17, columns: columns)
      for (values, value) in strange {
        var input = Self.input(tokens: tokens, columns: columns)
        input.replaceSubrange(values, with: repeatElement(value, count: values.count))
        let bits = KernelTable.available.map { table in
          product(
            [matrix], input, tokens: tokens, arithmetic: .quantized, kernels: table,
            pool: Self.pools[1])[0].map { Float(bitPattern: $0).isNaN ? Float.nan.bitPattern : $0 }
        }
        for (table, found) in zip(KernelTable.available, bits) {
          #expect(found == bits.last, "\(table.name) \(scheme.name), \(value) in \(values)")
        }
      }
    }
  }
}
