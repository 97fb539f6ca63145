package import Bytes
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Writes an `.ingot` file according to a plan: tensor data from any thread in any order, then the
/// front matter, then the rename that makes the file appear.
///
/// While it runs, the temporary's front matter serves as the journal: a tensor's directory entry is
/// written when all of its bytes are, checksum included. A later writer of the same plan finds
/// them, hashes the data again and keeps what agrees (`resuming`).
package final class IngotWriter: Sendable {
  package let plan: IngotPlan
  private let file: AtomicFileWriter
  private let progress: Mutex<Progress>
  /// First subtree of each tensor in the table of their values, and the total at the end.
  private let subtreeStart: [Int]
  // Safe: each value is written once, by the thread that wrote its subtree, under `progress`.
  private nonisolated(unsafe) let subtrees: UnsafeMutableBufferPointer<Checksum>

  private struct Progress {
    var written: [Int]
    var checksums: [Checksum?]
  }

  /// Creates the temporary beside `path` and reserves its space.
  ///
  /// - Parameters:
  ///   - resuming: Continue the temporary that an interrupted writer of the same plan left; every
  ///     tensor it claims to hold is hashed again before it counts. When there is none, start anew.
  ///   - keepsOnInterrupt: Leave the temporary when the program is interrupted.
  /// - Throws: `file.*` as `AtomicFileWriter`.
  package init(
    path: String, plan: IngotPlan, resuming: Bool = false, keepsOnInterrupt: Bool = false
  ) throws(IngotError) {
    self.plan = plan
    var starts = [0]
    starts.reserveCapacity(plan.tensors.count + 1)
    var total = 0
    for tensor in plan.tensors {
      total += Blake3.subtreeCount(byteCount: tensor.byteRange.count)
      starts.append(total)
    }
    subtreeStart = starts
    progress = Mutex(
      Progress(
        written: plan.tensors.map { _ in 0 },
        checksums: plan.tensors.map { $0.byteRange.isEmpty ? Blake3.root(of: []) : nil }))
    file = try AtomicFileWriter(
      path: path, count: plan.fileBytes, tag: String(plan.identity.hexadecimal.prefix(16)),
      continuing: resuming, keepsOnInterrupt: keepsOnInterrupt)
    subtrees = .allocate(capacity: max(total, 1))
    subtrees.initialize(repeating: .zero)
    do throws(IngotError) {
      try prepare()
    } catch {
      if !file.isContinuation { file.abandon() }
      throw error
    }
  }

  deinit { subtrees.deallocate() }

  /// The temporary being written.
  package var temporaryPath: String { file.temporaryPath }

  /// Whether every byte of the tensor is there.
  package func isComplete(tensor: Int) -> Bool {
    progress.withLock { $0.checksums[tensor] != nil }
  }

  /// The tensor's checksum once it is complete.
  package func checksum(ofTensor tensor: Int) -> Checksum? {
    progress.withLock { $0.checksums[tensor] }
  }

  /// Writes a piece of a tensor, from any thread. Each byte must be written exactly once.
  ///
  /// The 1 MiB subtrees that it covers whole are hashed on the way; others are read back when the
  /// tensor is full.
  ///
  /// - Throws: `file.noSpace` or `file.write`.
  package func write(
    tensor: Int, at offset: Int, bytes: UnsafeRawBufferPointer
  ) throws(IngotError) {
    let range = plan.tensors[tensor].byteRange
    precondition(
      offset >= 0 && offset <= range.count && bytes.count <= range.count - offset,
      "write outside the tensor")
    guard !bytes.isEmpty else { return }
    // Cut where subtrees meet, so that the second use finds the bytes in the core's cache.
    var start = 0
    while start < bytes.count {
      let place = offset + start
      let toNext = Blake3.subtreeBytes - place % Blake3.subtreeBytes
      let piece = UnsafeRawBufferPointer(
        rebasing: bytes[start..<min(start + toNext, bytes.count)])
      hashSubtree(of: tensor, at: place, piece)
      try file.write(piece, at: range.lowerBound + place)
      start += piece.count
    }
    file.startWriteback(range.lowerBound + offset..<range.lowerBound + offset + bytes.count)
    let isFull = progress.withLock { state in
      state.written[tensor] += bytes.count
      precondition(state.written[tensor] <= range.count, "bytes of a tensor written twice")
      return state.written[tensor] == range.count
    }
    if isFull { try complete(tensor) }
  }

  package func write(tensor: Int, at offset: Int, bytes: [UInt8]) throws(IngotError) {
    try bytes.withRawBytes { (buffer) throws(IngotError) in
      try write(tensor: tensor, at: offset, bytes: buffer)
    }
  }

  /// Writes front matter, makes everything durable and renames the temporary.
  ///
  /// - Parameter replacing: Metadata values known only now (digests of sources, say). Each must
  ///   be planned, uncompressed, and of the same type and length.
  /// - Returns: the checksum of the directory, which names the whole content.
  /// - Throws: `file.*`; the temporary is then removed.
  @discardableResult
  package func finish(
    replacing: [String: IngotMetadataValue] = [:]
  ) throws(IngotError) -> Checksum {
    var image = plan.image
    for index in plan.tensors.indices {
      guard let checksum = checksum(ofTensor: index) else {
        preconditionFailure("tensor \(plan.tensors[index].name) is not complete")
      }
      image.setChecksum(checksum, ofTensor: index)
    }
    for (key, value) in replacing {
      guard let index = plan.metadata.firstIndex(where: { $0.key == key }),
        image.replaceValue(index, with: value)
      else { preconditionFailure("metadata value \(key) does not have the planned form") }
    }
    image.seal()
    do throws(IngotError) {
      // Everything but the first 8 bytes, then the disk, then the magic: a temporary that looks
      // finished is finished.
      try file.write(Array(image.bytes[IngotLayout.magic.count...]), at: IngotLayout.magic.count)
      try file.synchronize()
      try file.write(IngotLayout.magic, at: 0)
      try file.commit()
    } catch {
      file.abandon()
      throw error
    }
    return image.directoryChecksum
  }

  /// Removes the temporary.
  package func abandon() { file.abandon() }
}

extension IngotWriter {
  /// Hashes a piece that is a whole subtree; others stay zero until the tensor is full.
  private func hashSubtree(of tensor: Int, at offset: Int, _ bytes: UnsafeRawBufferPointer) {
    let size = plan.tensors[tensor].byteRange.count
    let index = offset / Blake3.subtreeBytes
    let end = min(offset + Blake3.subtreeBytes, size)
    guard offset.isMultiple(of: Blake3.subtreeBytes), offset + bytes.count == end else { return }
    let value = Blake3.subtree(bytes, index: index, isOnly: bytes.count == size)
    progress.withLock { _ in subtrees[subtreeStart[tensor] + index] = value }
  }

  /// All bytes are there: compute the checksum and journal it.
  private func complete(_ tensor: Int) throws(IngotError) {
    let checksum = try checksumOfSubtrees(tensor, rereading: false)
    progress.withLock { $0.checksums[tensor] = checksum }
    var entry = plan.image.entry(ofTensor: tensor)
    entry.replaceSubrange(
      IngotLayout.Tensor.checksum..<IngotLayout.Tensor.reserved, with: checksum.bytes)
    try file.write(entry, at: Self.entryOffset(tensor))
  }

  /// - Parameter rereading: Hash every subtree from the file instead of trusting the table.
  private func checksumOfSubtrees(
    _ tensor: Int, rereading: Bool
  ) throws(IngotError) -> Checksum {
    let range = plan.tensors[tensor].byteRange
    let table = subtreeStart[tensor]..<subtreeStart[tensor + 1]
    var values = progress.withLock { _ in Array(subtrees[table]) }
    var buffer: UnsafeMutableRawBufferPointer?
    defer { buffer?.deallocate() }
    for index in values.indices where rereading || values[index] == .zero {
      let scratch = buffer ?? .allocate(byteCount: Blake3.subtreeBytes, alignment: 64)
      buffer = scratch
      let start = range.lowerBound + index * Blake3.subtreeBytes
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: scratch[..<min(scratch.count, range.upperBound - start)])
      try file.read(into: piece, at: start)
      values[index] = Blake3.subtree(
        UnsafeRawBufferPointer(piece), index: index, isOnly: values.count == 1)
    }
    return Blake3.root(of: values)
  }

  private static func entryOffset(_ tensor: Int) -> Int {
    IngotLayout.headerBytes + tensor * IngotLayout.tensorEntryBytes
  }

  /// Starts the journal, or reads the one an interrupted writer left.
  private func prepare() throws(IngotError) {
    var mark = IngotLayout.partialMagic
    mark += plan.identity.bytes
    if file.isContinuation {
      let found = try read(at: 0, count: mark.count)
      if found == mark { return try readJournal() }
    }
    try file.write([UInt8](repeating: 0, count: plan.image.bytes.count), at: 0)
    try file.write(mark, at: 0)
  }

  /// Keeps every tensor that the journal claims and whose bytes have the claimed checksum.
  private func readJournal() throws(IngotError) {
    let threads = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    try concurrently(count: plan.tensors.count, threads: threads) { (tensor) throws(IngotError) in
      guard let claimed = try claimedChecksum(tensor),
        try checksumOfSubtrees(tensor, rereading: true) == claimed
      else { return }
      progress.withLock { state in
        state.checksums[tensor] = claimed
        state.written[tensor] = plan.tensors[tensor].byteRange.count
      }
    }
  }

  /// The checksum in the tensor's journaled entry; nil when there is no entry of this plan.
  private func claimedChecksum(_ tensor: Int) throws(IngotError) -> Checksum? {
    let found = try read(at: Self.entryOffset(tensor), count: IngotLayout.tensorEntryBytes)
    let field = IngotLayout.Tensor.checksum..<IngotLayout.Tensor.reserved
    var expected = plan.image.entry(ofTensor: tensor)
    expected.replaceSubrange(field, with: found[field])
    let claimed = Array(found[field]).withUnsafeBytes { Checksum(bytes: $0) }
    return found == expected && claimed != .zero ? claimed : nil
  }

  private func read(at offset: Int, count: Int) throws(IngotError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
    defer { buffer.deallocate() }
    try file.read(into: buffer, at: offset)
    return Array(buffer)
  }
}
