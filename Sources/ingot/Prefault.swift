import Bytes
import IngotFormat
import Kernels

extension RuntimeOptions {
  /// With `--prefault`: brings a file into memory with a progress bar, so that the first token
  /// does not wait for the disk.
  func prefault(_ file: IngotFile, pool: ThreadPool, quiet: Bool) {
    guard prefault else { return }
    let mapping = file.mapping
    let step = 32 << 20
    let progress = Progress("reading", total: mapping.count, unit: .bytes, quiet: quiet)
    pool.run(count: (mapping.count + step - 1) / step) { part in
      let range = (part * step..<(part + 1) * step).clamped(to: 0..<mapping.count)
      mapping.prefault(range)
      progress.advance(range.count)
    }
    progress.finish()
  }
}
