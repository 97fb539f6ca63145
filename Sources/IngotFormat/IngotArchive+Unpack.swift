public import Bytes

extension IngotArchive {
  /// Writes the file this archive was made from, every block verified.
  ///
  /// - Parameters:
  ///   - path: Appears when it is complete.
  ///   - threads: How many blocks are decoded at a time.
  ///   - progress: Called from any thread with bytes written since its last call.
  /// - Throws: `archive.block` when a block is damaged, `file.*`.
  public func unpack(
    to path: String, threads: Int, progress: @Sendable (Int) -> Void = { _ in }
  ) throws(IngotError) {
    let writer = try AtomicFileWriter(path: path, count: unpackedBytes)
    do throws(IngotError) {
      try concurrently(count: blocks.count, threads: threads) { (index) throws(IngotError) in
        let bytes = try decode(blocks[index])
        try writer.write(bytes, at: blocks[index].range.lowerBound)
        progress(bytes.count)
      }
      try writer.commit()
    } catch {
      writer.abandon()
      throw error
    }
  }

  /// Part of the unpacked file; only the blocks it touches are read.
  ///
  /// - Throws: `bytes.outside` when the range leaves the file, `archive.block`, `file.*`.
  public func read(at offset: Int, count: Int) throws(IngotError) -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= unpackedBytes, count <= unpackedBytes - offset else {
      throw IngotError(
        "bytes.outside", "needs \(count) bytes at \(offset) of \(unpackedBytes)", path: reader.path)
    }
    let wanted = offset..<offset + count
    var result: [UInt8] = []
    guard count > 0 else { return result }
    result.reserveCapacity(count)
    for block in blocks[firstBlock(endingAfter: offset)...] {
      guard block.range.lowerBound < wanted.upperBound else { break }
      let part = block.range.clamped(to: wanted)
      let start = part.lowerBound - block.range.lowerBound
      result += try decode(block)[start..<start + part.count]
    }
    return result
  }

  private func firstBlock(endingAfter offset: Int) -> Int {
    var low = 0
    var high = blocks.count
    while low < high {
      let middle = (low + high) / 2
      if blocks[middle].range.upperBound <= offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func decode(_ block: Block) throws(IngotError) -> [UInt8] {
    let stored = try reader.bytes(at: block.stored.lowerBound, count: block.stored.count)
    let bytes = try block.isCompressed ? decompress(stored, block) : stored
    guard Checksum(of: bytes) == block.checksum else { throw damaged(block) }
    return bytes
  }

  private func decompress(_ stored: [UInt8], _ block: Block) throws(IngotError) -> [UInt8] {
    let count = block.range.count
    let split = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
    defer { split.deallocate() }
    do throws(IngotError) {
      try stored.withRawBytes { (bytes) throws(IngotError) in
        try Zstandard.decompress(bytes, into: split)
      }
    } catch {
      throw damaged(block)
    }
    return [UInt8](unsafeUninitializedCapacity: count) { target, used in
      BytePlanes.join(
        UnsafeRawBufferPointer(split), planes: block.planes,
        into: UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(target)[..<count]))
      used = count
    }
  }

  private func damaged(_ block: Block) -> IngotError {
    IngotError(
      "archive.block", "is damaged: a block does not decode to what was packed",
      path: reader.path, offset: block.stored.lowerBound, advice: "Transfer the archive again.")
  }
}
