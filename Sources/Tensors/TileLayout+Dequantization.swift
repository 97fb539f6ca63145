extension TileLayout {
  /// One row of the matrix as f32: the definition that every faster routine must equal.
  ///
  /// w = (f32(code) · groupScale) · tensorScale, each product rounded to f32, where code is q
  /// (`int8`, `int6`, `int4`), q − z (`int4z`) or level[i] (`cb4`). See `formats/ingot.md`, "Values".
  ///
  /// - Parameters:
  ///   - row: 0 ..< `rows`.
  ///   - payload: The tensor's bytes, at least `payloadBytes`.
  ///   - output: Room for `columns` values.
  package func dequantize(
    row: Int, payload: UnsafeRawBufferPointer, into output: UnsafeMutableBufferPointer<Float>
  ) {
    precondition((0..<rows).contains(row) && payload.count >= payloadBytes)
    precondition(output.count >= columns)
    let tile = tileOffset(row / Self.tileRows)
    let lane = row % Self.tileRows
    let tensorScale = self.tensorScale(payload)
    for column in 0..<columns {
      let slot = column / scheme.groupSize * Self.tileRows + lane
      let scale = groupScale(payload, tile, slot)
      let code = self.code(payload, tile, lane, column, slot)
      output[column] = Float(code) * scale * tensorScale
    }
  }

  /// The f32 in the header that multiplies the whole tensor; 1 unless `cb4`.
  package func tensorScale(_ payload: UnsafeRawBufferPointer) -> Float {
    let stored = payload.loadUnaligned(fromByteOffset: Self.tensorScaleOffset, as: UInt32.self)
    return Float(bitPattern: UInt32(littleEndian: stored))
  }

  private func groupScale(_ payload: UnsafeRawBufferPointer, _ tile: Int, _ slot: Int) -> Float {
    if scheme.kind == .cb4 { return HalfPrecision.float(fromS1E2M5: payload[tile + slot]) }
    let stored = payload.loadUnaligned(fromByteOffset: tile + 2 * slot, as: UInt16.self)
    return HalfPrecision.float(fromHalf: UInt16(littleEndian: stored))
  }

  /// The integer that the scale multiplies.
  private func code(
    _ payload: UnsafeRawBufferPointer, _ tile: Int, _ lane: Int, _ column: Int, _ slot: Int
  ) -> Int {
    let position = codePosition(row: lane, column: column)
    let byte = payload[tile + position.byte]
    let nibble = Int(position.isHigh ? byte >> 4 : byte & 15)
    switch scheme.kind {
    case .int8: return Int(Int8(bitPattern: byte))
    case .int6: return highBits(payload, tile, lane, column) + nibble - 32
    case .int4: return nibble - 8
    case .int4z: return nibble - Int(payload[tile + zeroPointOffset + slot])
    case .cb4: return Int(Int8(bitPattern: payload[nibble]))
    }
  }

  /// Bits 4 and 5 of an int6 code, in their places.
  private func highBits(
    _ payload: UnsafeRawBufferPointer, _ tile: Int, _ lane: Int, _ column: Int
  ) -> Int {
    guard let position = highBitsPosition(row: lane, column: column) else { return 0 }
    return Int(payload[tile + position.byte] >> position.shift & 3) << 4
  }
}
