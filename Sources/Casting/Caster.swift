package import Bytes
internal import IngotFormat
package import Kernels
internal import Synchronization
internal import Tensors

/// Runs a cast: pieces of tensors are read, computed and written by all threads at once, so that
/// disk and processor work at the same time and memory stays at a few pieces a thread.
package struct Caster: Sendable {
  package let plan: CastPlan
  let buffers = BufferPool()

  package init(_ plan: CastPlan) { self.plan = plan }

  /// Source bytes the run will consume, hashing included.
  package var workBytes: Int {
    plan.pieces(skipping: { _ in false }).reduce(0) { $0 + plan.sourceBytes($1) }
  }

  /// Writes the file. It appears under its name when it is complete, or not at all.
  ///
  /// - Parameters:
  ///   - path: replaced if it exists, at the very end.
  ///   - resume: continue what an interrupted run of the same plan left beside `path`, and leave
  ///     the same if this run is interrupted.
  ///   - progress: called from any thread with source bytes consumed.
  /// - Throws: reading, quantizing and writing errors; the temporary is removed, unless `resume`.
  package func run(
    to path: String, pool: ThreadPool, resume: Bool = false,
    progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(IngotError) {
    let writer = try IngotWriter(
      path: path, plan: plan.file, resuming: resume, keepsOnInterrupt: resume)
    do throws(IngotError) {
      let checksums = try writeTensors(writer, pool, progress)
      try writer.finish(replacing: [IngotKey.sourceChecksums: .bytes(checksums)])
    } catch {
      if !resume { writer.abandon() }
      throw error
    }
  }

  /// - Returns: the digests of the source files, one after the other.
  private func writeTensors(
    _ writer: IngotWriter, _ pool: ThreadPool, _ progress: @escaping @Sendable (Int) -> Void
  ) throws(IngotError) -> [UInt8] {
    let pieces = plan.pieces(skipping: writer.isComplete)
    let failure = FirstFailure()
    let checksums = Mutex([Checksum](repeating: .zero, count: plan.source.parts.count))
    pool.run(count: pieces.count) { index in
      failure.attempt { () throws(IngotError) in
        if case .hash(let part) = pieces[index] {
          let checksum = try plan.source.checksum(ofPart: part)
          checksums.withLock { $0[part] = checksum }
        } else {
          try write(pieces[index], writer)
        }
        progress(plan.sourceBytes(pieces[index]))
      }
    }
    try failure.check()
    return checksums.withLock { $0.flatMap(\.bytes) }
  }

  private func write(_ piece: CastPiece, _ writer: IngotWriter) throws(IngotError) {
    switch piece {
    case .hash: break
    case .dense(let tensor, let first, let count):
      try writeDense(tensor, first, count, writer)
    case .rows, .frame: break
    }
  }

  /// Copies elements as they are, or in another floating-point type.
  private func writeDense(
    _ tensor: Int, _ first: Int, _ count: Int, _ writer: IngotWriter
  ) throws(IngotError) {
    let source = plan.source.tensors[tensor]
    let size = source.type.byteCount
    try buffers.with(count * size) { (input) throws(IngotError) in
      try plan.source.read(tensor: tensor, at: first * size, into: input)
      let bytes = UnsafeRawBufferPointer(input)
      guard case .convert(let type) = plan.actions[tensor] else {
        return try writer.write(tensor: tensor, at: first * size, bytes: bytes)
      }
      try buffers.with(count * type.byteCount) { (output) throws(IngotError) in
        try FloatConversion.convert(bytes, source, to: type, into: output, firstElement: first)
        try writer.write(
          tensor: tensor, at: first * type.byteCount, bytes: UnsafeRawBufferPointer(output))
      }
    }
  }
}
