internal import Bytes
internal import IngotFormat
internal import Kernels
package import Quantization
internal import Synchronization
internal import Tensors

extension Caster {
  /// Makes the quantizers of a wave of tensors, surveying those that need it.
  func survey(
    _ tensors: [Int], _ pool: ThreadPool, _ progress: @escaping @Sendable (Int) -> Void
  ) throws(IngotError) -> [Int: TensorQuantizer] {
    var quantizers: [Int: TensorQuantizer] = [:]
    var blocks: [(tensor: Int, rows: Range<Int>)] = []
    for tensor in tensors {
      guard let (layout, method) = plan.quantization(ofTensor: tensor) else { continue }
      let quantizer = try TensorQuantizer(
        layout: layout, method: method, sourceType: plan.source.tensors[tensor].type,
        name: plan.source.tensors[tensor].name)
      quantizers[tensor] = quantizer
      guard quantizer.needsSurvey else { continue }
      blocks += plan.rowBlocks(ofTensor: tensor, layout).map { (tensor, $0) }
    }
    let surveys = Mutex<[Int: TensorSurvey]>([:])
    let unprepared = quantizers
    try pool.runThrowing(count: blocks.count) { (index) throws(IngotError) in
      let (tensor, rows) = blocks[index]
      guard let quantizer = unprepared[tensor] else { return }
      let survey = try withRows(tensor, rows) { (source) throws(IngotError) in
        try clock.time(\.search) { () throws(IngotError) in
          try quantizer.survey(rows: rows, source: source)
        }
      }
      surveys.withLock { $0[tensor, default: TensorSurvey()].merge(survey) }
      progress(plan.workBytes(.rows(tensor: tensor, rows)))
    }
    return try prepared(quantizers, surveys.withLock { $0 }, pool)
  }

  /// Fits the parameters of surveyed tensors, a tensor a thread.
  private func prepared(
    _ quantizers: [Int: TensorQuantizer], _ surveys: [Int: TensorSurvey], _ pool: ThreadPool
  ) throws(IngotError) -> [Int: TensorQuantizer] {
    let tensors = surveys.keys.sorted()
    let results = Mutex(quantizers)
    try pool.runThrowing(count: tensors.count) { (index) throws(IngotError) in
      let tensor = tensors[index]
      guard var quantizer = quantizers[tensor], let survey = surveys[tensor] else { return }
      try clock.time(\.search) { () throws(IngotError) in try quantizer.prepare(survey) }
      let done = quantizer
      results.withLock { $0[tensor] = done }
    }
    return results.withLock { $0 }
  }

  /// The 64 bytes before the tiles, and the exact rows behind them.
  func writeFrame(
    _ tensor: Int, _ quantizer: TensorQuantizer, _ writer: IngotWriter
  ) throws(IngotError) {
    try writer.write(tensor: tensor, at: 0, bytes: quantizer.header())
    guard case .quantize(let plan) = plan.actions[tensor], !plan.exactRows.isEmpty else { return }
    let source = self.plan.source.tensors[tensor]
    let stored = IngotExactRowsLayout(count: plan.exactRows.count, type: source.type)
    var bytes = [UInt8](repeating: 0, count: stored.indexBytes)
    for (index, row) in plan.exactRows.enumerated() {
      withUnsafeBytes(of: UInt32(row).littleEndian) {
        bytes.replaceSubrange(4 * index..<4 * index + 4, with: $0)
      }
    }
    for row in plan.exactRows {
      try withRows(tensor, row..<row + 1) { bytes.append(contentsOf: $0) }
    }
    try writer.write(tensor: tensor, at: quantizer.layout.payloadBytes, bytes: bytes)
  }

  func writeRows(
    _ tensor: Int, _ rows: Range<Int>, _ quantizer: TensorQuantizer, _ writer: IngotWriter
  ) throws(IngotError) {
    let layout = quantizer.layout
    let tiles = (rows.count + TileLayout.tileRows - 1) / TileLayout.tileRows
    let first = rows.lowerBound / TileLayout.tileRows
    var figures = TensorStatistics()
    try buffers.with(tiles * layout.tileBytes) { (output) throws(IngotError) in
      try withRows(tensor, rows) { (source) throws(IngotError) in
        let start = ContinuousClock.now
        try quantizer.quantize(rows: rows, source: source, into: output, statistics: &figures)
        let seconds = PhaseClock.seconds(since: start)
        clock.add(seconds * figures.searchShare, to: \.search)
        clock.add(seconds * (1 - figures.searchShare), to: \.encode)
      }
      try clock.time(\.write) { () throws(IngotError) in
        try writer.write(
          tensor: tensor, at: layout.tileOffset(first), bytes: UnsafeRawBufferPointer(output))
      }
    }
    statistics.merge(figures, tensor: tensor)
  }

  /// Lends rows of a matrix where the source has them.
  private func withRows<Result>(
    _ tensor: Int, _ rows: Range<Int>,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    let source = plan.source.tensors[tensor]
    let rowBytes = source.shape[1] * source.type.byteCount
    let range = rows.lowerBound * rowBytes..<rows.upperBound * rowBytes
    let start = ContinuousClock.now
    return try plan.source.withBytes(ofTensor: tensor, range) { (bytes) throws(IngotError) in
      clock.add(PhaseClock.seconds(since: start), to: \.read)
      return try body(bytes)
    }
  }
}

extension Caster {
  /// What quantization cost, after `run`. Tensors that a resumed run found complete have no
  /// figures of their own and count as exact in none: they are left out.
  package func report(recipe: Recipe) -> QuantizationReport {
    var entries: [QuantizationReport.Entry] = []
    for (index, action) in plan.actions.enumerated() {
      guard case .quantize(let plan) = action else { continue }
      entries.append(.init(plan: plan, error: statistics.summary(tensor: index)))
    }
    return QuantizationReport(recipe: recipe, entries: entries)
  }
}

/// Statistics of all tensors, filled by all threads.
final class StatisticsTable: Sendable {
  private let rows: Mutex<[TensorStatistics]>

  init(count: Int) {
    rows = Mutex((0..<count).map { _ in TensorStatistics() })
  }

  func merge(_ statistics: TensorStatistics, tensor: Int) {
    rows.withLock { $0[tensor].merge(statistics) }
  }

  func summary(tensor: Int) -> TensorError { rows.withLock { $0[tensor].summary() } }
}

extension ThreadPool {
  /// `run` for work that can fail: the first error stops the rest and is thrown.
  func runThrowing(
    count: Int, _ body: (Int) throws(IngotError) -> Void
  ) throws(IngotError) {
    let failure = FirstFailure()
    run(count: count) { index in
      failure.attempt { () throws(IngotError) in try body(index) }
    }
    try failure.check()
  }
}
