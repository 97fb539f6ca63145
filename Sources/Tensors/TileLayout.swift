/// Where the bytes of a quantized matrix lie: one layout for the file, the mapping and every
/// instruction set (see `formats/ingot.md`).
///
/// The payload is `header`, then one tile per 16 output rows (the last padded with zero rows):
///
/// ```
/// payload  = header (64 bytes) · tile[0] · tile[1] · …
/// header   = codebook: 16 × int8 (cb4; else zeros) · tensor scale: f32 (1.0 unless cb4) · zeros
/// tile     = scales · zero points (int4z only) · codes          each padded to 64 bytes
/// scales   = [columns / g][16 rows]   fp16, or S1E2M5 (8 bits) for cb4
/// zeros    = [columns / g][16 rows]   uint8
/// codes    = [columns / 4][16 rows][4 columns] int8                                  (int8)
///            per group: g/8 blocks of 64 bytes; block b holds atom b in the low nibbles
///            and atom b + g/8 in the high ones                                       (4 bits)
///            per group: the low four bits as above, then g/16 blocks with the high two; bits 2k
///            and 2k + 1 of block b belong to atom b + k·g/16                            (int6)
/// ```
///
/// An atom is 16 rows × 4 consecutive columns; atom `a` of a group covers columns 4a … 4a+3.
package struct TileLayout: Hashable, Sendable {
  /// Output rows in one tile.
  package static let tileRows = 16
  /// Columns in one atom.
  package static let atomColumns = 4
  /// Planes start on this boundary, in bytes.
  package static let planeAlignment = 64
  /// Bytes before the first tile.
  package static let headerBytes = 64
  /// Offset of the tensor scale (f32) in the header; the codebook lies at 0.
  package static let tensorScaleOffset = 16

  package let scheme: QuantizationScheme
  package let rows: Int
  package let columns: Int

  package let groupsPerRow: Int
  package let tileCount: Int
  /// Offsets of the planes from the start of a tile, in bytes.
  package let zeroPointOffset: Int
  package let codeOffset: Int
  /// Bytes of one tile, a multiple of 64.
  package let tileBytes: Int
  /// Bytes of the whole payload, header included.
  package let payloadBytes: Int

  /// Nil when the columns are not a positive multiple of the group size, there are no rows, or
  /// the sizes overflow.
  package init?(scheme: QuantizationScheme, rows: Int, columns: Int) {
    guard rows > 0, columns > 0, columns % scheme.groupSize == 0,
      columns <= 1 << 40, rows <= 1 << 40
    else { return nil }
    self.scheme = scheme
    self.rows = rows
    self.columns = columns
    groupsPerRow = columns / scheme.groupSize
    tileCount = (rows + Self.tileRows - 1) / Self.tileRows

    let scaleBytes = groupsPerRow * Self.tileRows * (scheme.kind == .cb4 ? 1 : 2)
    let zeroPointBytes = scheme.kind == .int4z ? groupsPerRow * Self.tileRows : 0
    zeroPointOffset = Self.padded(scaleBytes)
    codeOffset = zeroPointOffset + Self.padded(zeroPointBytes)
    tileBytes = codeOffset + Self.padded(columns * Self.tileRows * scheme.kind.codeBits / 8)
    let (tiles, overflow) = tileBytes.multipliedReportingOverflow(by: tileCount)
    guard !overflow, tiles <= Int.max - Self.headerBytes else { return nil }
    payloadBytes = Self.headerBytes + tiles
  }

  /// Byte offset of tile `index` from the start of the payload.
  package func tileOffset(_ index: Int) -> Int { Self.headerBytes + index * tileBytes }

  /// Rows of tile `index` that belong to the matrix: 16, fewer in the last tile.
  package func liveRows(inTile index: Int) -> Int {
    min(Self.tileRows, rows - index * Self.tileRows)
  }

  /// Where the code of one weight lies, of int6 its low four bits.
  ///
  /// - Parameters:
  ///   - row: row within the tile, 0…15.
  ///   - column: column of the matrix.
  /// - Returns: the byte's offset from the start of the tile, and whether it is the high nibble
  ///   (always false for int8).
  package func codePosition(row: Int, column: Int) -> (byte: Int, isHigh: Bool) {
    let atomBytes = Self.tileRows * Self.atomColumns
    let inAtom = row * Self.atomColumns + column % Self.atomColumns
    if scheme.kind == .int8 {
      return (codeOffset + column / Self.atomColumns * atomBytes + inAtom, false)
    }
    let atom = column % scheme.groupSize / Self.atomColumns
    let blocks = scheme.groupSize / (2 * Self.atomColumns)
    return (groupOffset(column) + atom % blocks * atomBytes + inAtom, atom >= blocks)
  }

  /// Where the two high bits of an int6 code lie.
  ///
  /// - Returns: the byte's offset from the start of the tile, and the lower bit's place in it; nil
  ///   for other schemes.
  package func highBitsPosition(row: Int, column: Int) -> (byte: Int, shift: Int)? {
    guard scheme.kind == .int6 else { return nil }
    let atomBytes = Self.tileRows * Self.atomColumns
    let atom = column % scheme.groupSize / Self.atomColumns
    let blocks = scheme.groupSize / (4 * Self.atomColumns)
    let block = 2 * blocks + atom % blocks
    let inAtom = row * Self.atomColumns + column % Self.atomColumns
    return (groupOffset(column) + block * atomBytes + inAtom, 2 * (atom / blocks))
  }

  /// The start of the codes of a column's group, from the start of the tile.
  private func groupOffset(_ column: Int) -> Int {
    let group = column / scheme.groupSize
    return codeOffset + group * scheme.groupSize * Self.tileRows * scheme.kind.codeBits / 8
  }

  private static func padded(_ bytes: Int) -> Int {
    (bytes + planeAlignment - 1) / planeAlignment * planeAlignment
  }
}
