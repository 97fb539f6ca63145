public import Bytes
internal import Synchronization

extension IngotArchive {
  /// Packs an `.ingot` file.
  ///
  /// The archive's bytes depend on the file, the level and the version of the zstd library, not on
  /// the number of threads.
  ///
  /// - Parameters:
  ///   - source: An `.ingot` file; its structure is checked.
  ///   - path: Appears when it is complete.
  ///   - level: zstd level, 1 … 19.
  ///   - threads: how many compress at a time; the archive does not depend on it.
  ///   - progress: Called from any thread with bytes read since its last call.
  /// - Throws: what `IngotFile.open` throws, `file.*`.
  public static func pack(
    _ source: String, to path: String, threads: Int, level: Int = 3,
    progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(IngotError) {
    precondition((1...19).contains(level), "zstd level outside 1…19")
    let plan = plan(try IngotFile.open(source))
    let reader = try FileReader(path: source)
    let packer = BlockPacker(reader: reader, level: Int32(level))
    let bound = reader.count + headerBytes + plan.count * entryBytes
    let writer = try AtomicFileWriter(path: path, count: bound, reserving: false)
    do throws(IngotError) {
      var table = ByteBuilder(reserving: plan.count * entryBytes)
      var end = headerBytes
      // A batch at a time: threads compress, then its blocks are appended in order.
      let batch = max(1, threads) * 4
      for start in stride(from: 0, to: plan.count, by: batch) {
        let pieces = Array(plan[start..<min(start + batch, plan.count)])
        for packed in try packer.pack(pieces, threads: threads, progress: progress) {
          try writer.write(packed.stored, at: end)
          append(packed, at: end, to: &table)
          end += packed.stored.count
        }
      }
      try writer.write(table.bytes, at: end)
      let length = end + table.count
      try writer.write(
        header(unpacked: reader.count, blocks: plan.count, tableOffset: end, length, table.bytes),
        at: 0)
      try writer.commit(length: length)
    } catch {
      writer.abandon()
      throw error
    }
  }

  /// Pieces of at most 1 MiB, none of which mixes numbers of different sizes.
  private static func plan(_ file: IngotFile) -> [BlockPacker.Piece] {
    var regions: [(range: Range<Int>, planes: Int)] = []
    func add(_ end: Int, _ planes: Int) {
      let start = regions.last?.range.upperBound ?? 0
      guard end > start else { return }
      if let last = regions.last, last.planes == planes {
        regions[regions.count - 1].range = last.range.lowerBound..<end
      } else {
        regions.append((start..<end, planes))
      }
    }
    // A region reaches to the next tensor: padding goes with what it follows.
    let starts = file.tensors.map(\.byteRange.lowerBound) + [file.mapping.count]
    add(starts[0], 1)
    for (tensor, end) in zip(file.tensors, starts.dropFirst()) {
      switch tensor.storage {
      case .dense(let type): add(end, type.byteCount)
      case .tiled: add(end, 1)
      }
    }
    return regions.flatMap { region in
      stride(from: region.range.lowerBound, to: region.range.upperBound, by: blockBytes).map {
        BlockPacker.Piece(
          range: $0..<min($0 + blockBytes, region.range.upperBound), planes: region.planes)
      }
    }
  }

  private static func append(
    _ packed: BlockPacker.Packed, at offset: Int, to table: inout ByteBuilder
  ) {
    table.append(UInt64(offset))
    table.append(UInt32(packed.stored.count))
    table.append(UInt32(packed.byteCount))
    table.append(UInt8(packed.planes))
    table.append(UInt8(packed.isCompressed ? 1 : 0))
    table.appendZeros(14)
    table.append(contentsOf: packed.checksum.bytes)
  }

  private static func header(
    unpacked: Int, blocks: Int, tableOffset: Int, _ length: Int, _ table: [UInt8]
  ) -> [UInt8] {
    var header = ByteBuilder(reserving: headerBytes)
    header.append(contentsOf: magic)
    header.append(IngotLayout.endiannessMarker)
    header.append(UInt16(1))
    header.append(UInt16(0))
    for field in [unpacked, blocks, tableOffset, length] { header.append(UInt64(field)) }
    header.append(contentsOf: Checksum(of: header.bytes + table).bytes)
    header.pad(to: headerBytes)
    return header.bytes
  }
}

/// Reads, splits and compresses pieces of a file on several threads.
struct BlockPacker: Sendable {
  let reader: FileReader
  let level: Int32

  struct Piece: Sendable {
    let range: Range<Int>
    let planes: Int
  }

  struct Packed: Sendable {
    let stored: [UInt8]
    let byteCount: Int
    let planes: Int
    let isCompressed: Bool
    let checksum: Checksum
  }

  func pack(
    _ pieces: [Piece], threads: Int, progress: @escaping @Sendable (Int) -> Void
  ) throws(IngotError) -> [Packed] {
    let results = Mutex([Packed?](repeating: nil, count: pieces.count))
    try concurrently(count: pieces.count, threads: threads) { (index) throws(IngotError) in
      let packed = try pack(pieces[index])
      results.withLock { $0[index] = packed }
      progress(packed.byteCount)
    }
    return results.withLock { $0.compactMap { $0 } }
  }

  private func pack(_ piece: Piece) throws(IngotError) -> Packed {
    let plain = try reader.bytes(at: piece.range.lowerBound, count: piece.range.count)
    let split = UnsafeMutableRawBufferPointer.allocate(byteCount: plain.count, alignment: 64)
    defer { split.deallocate() }
    plain.withUnsafeBytes { BytePlanes.split($0, planes: piece.planes, into: split) }
    let frame = try Zstandard.compress(UnsafeRawBufferPointer(split), level: level)
    let isSmaller = frame.count < plain.count
    return Packed(
      stored: isSmaller ? frame : plain, byteCount: plain.count,
      planes: isSmaller ? piece.planes : 1, isCompressed: isSmaller,
      checksum: Checksum(of: plain))
  }
}
