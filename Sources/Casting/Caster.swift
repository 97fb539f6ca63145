package import Bytes
internal import IngotFormat
package import Kernels
internal import Quantization
internal import Tensors

/// Runs a cast: pieces of tensors are read, computed and written by all threads at once, so that
/// disk and processor work at the same time and memory stays at a few pieces a thread.
package struct Caster: Sendable {
  package let plan: CastPlan
  let buffers = BufferPool()
  /// What quantization did to each tensor, by index.
  let statistics: StatisticsTable
  let clock = PhaseClock()

  /// Where the time of `run` went.
  package var phases: CastPhases { clock.phases }

  package init(_ plan: CastPlan) {
    self.plan = plan
    statistics = StatisticsTable(count: plan.source.tensors.count)
  }

  /// Source bytes the run will consume, surveys included, and hashing that is not done yet.
  package var workBytes: Int {
    let parts = plan.source.parts
    let toHash = parts.indices.reduce(0) { total, part in
      parts[part].checksum == nil
        ? total + parts[part].byteCount - plan.source.hash(ofPart: part).done : total
    }
    return plan.source.tensors.indices.reduce(toHash) { total, index in
      let isSurveyed = plan.quantization(ofTensor: index)?.layout.scheme.kind == .cb4
      return total + plan.source.tensors[index].byteCount * (isSurveyed ? 2 : 1)
    }
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
    let waves = plan.waves(skipping: writer.isComplete, partsAtATime: pool.threads)
    let hashes = plan.hashes(beside: waves)
    for index in 0..<max(waves.count, hashes.count) {
      let wave = index < waves.count ? waves[index] : []
      let quantizers = try survey(wave, pool, progress)
      let pieces =
        (index < hashes.count ? hashes[index] : []) + wave.flatMap(plan.pieces(ofTensor:))
      try pool.runThrowing(count: pieces.count) { (index) throws(IngotError) in
        if case .hash(let part, let range) = pieces[index] {
          try clock.time(\.hash) { () throws(IngotError) in
            try plan.source.hash(ofPart: part).advance(to: range.upperBound)
          }
        } else {
          try write(pieces[index], quantizers, writer)
        }
        progress(plan.workBytes(pieces[index]))
      }
    }
    var digests: [UInt8] = []
    for (index, part) in plan.source.parts.enumerated() {
      if let known = part.checksum {
        digests += known.bytes
      } else {
        digests += try plan.source.hash(ofPart: index).finish().bytes
      }
    }
    return digests
  }

  private func write(
    _ piece: CastPiece, _ quantizers: [Int: TensorQuantizer], _ writer: IngotWriter
  ) throws(IngotError) {
    switch piece {
    case .hash: break
    case .dense(let tensor, let first, let count): try writeDense(tensor, first, count, writer)
    case .frame(let tensor):
      if let quantizer = quantizers[tensor] { try writeFrame(tensor, quantizer, writer) }
    case .rows(let tensor, let rows):
      if let quantizer = quantizers[tensor] { try writeRows(tensor, rows, quantizer, writer) }
    }
  }

  /// Copies elements as they are, or in another floating-point type.
  private func writeDense(
    _ tensor: Int, _ first: Int, _ count: Int, _ writer: IngotWriter
  ) throws(IngotError) {
    let source = plan.source.tensors[tensor]
    let size = source.type.byteCount
    guard case .convert(let type) = plan.actions[tensor] else {
      let range = first * size..<(first + count) * size
      return try plan.source.withBytes(ofTensor: tensor, range) { (bytes) throws(IngotError) in
        try clock.time(\.write) { () throws(IngotError) in
          try writer.write(tensor: tensor, at: range.lowerBound, bytes: bytes)
        }
      }
    }
    try buffers.with(count * size) { (input) throws(IngotError) in
      try clock.time(\.read) { () throws(IngotError) in
        try plan.source.read(tensor: tensor, at: first * size, into: input)
      }
      let bytes = UnsafeRawBufferPointer(input)
      try buffers.with(count * type.byteCount) { (output) throws(IngotError) in
        try clock.time(\.encode) { () throws(IngotError) in
          try FloatConversion.convert(bytes, source, to: type, into: output, firstElement: first)
        }
        try clock.time(\.write) { () throws(IngotError) in
          try writer.write(
            tensor: tensor, at: first * type.byteCount, bytes: UnsafeRawBufferPointer(output))
        }
      }
    }
  }
}
