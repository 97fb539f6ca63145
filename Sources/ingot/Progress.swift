import Foundation

/// A progress bar with rate and time left, on a terminal's stderr and for work of over a second.
final class Progress: @unchecked Sendable {
  // Safe: every mutable member is touched under `lock`.
  private let lock = NSLock()
  private let label: String
  private let total: Double
  private let unit: Unit
  private let start = Date()
  private let isShown: Bool
  private var done = 0.0
  private var lastDrawn = Date.distantPast
  private var isDrawn = false

  enum Unit {
    case bytes
    case items(String)
  }

  init(_ label: String, total: Int, unit: Unit, quiet: Bool) {
    self.label = label
    self.total = Double(max(total, 1))
    self.unit = unit
    isShown = !quiet && Terminal.errorIsTerminal
  }

  /// Counts more work as done.
  func advance(_ amount: Int) {
    guard isShown else { return }
    lock.withLock {
      done += Double(amount)
      let now = Date()
      guard now.timeIntervalSince(start) > 1, now.timeIntervalSince(lastDrawn) > 0.1 else { return }
      lastDrawn = now
      isDrawn = true
      draw(now)
    }
  }

  /// Clears the bar's line.
  func finish() {
    lock.withLock {
      if isDrawn { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
      isDrawn = false
    }
  }

  private func draw(_ now: Date) {
    let fraction = min(done / total, 1)
    let elapsed = now.timeIntervalSince(start)
    let left = fraction > 0 ? elapsed / fraction - elapsed : 0
    let width = 24
    let filled = Int(fraction * Double(width))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let percent = String(format: "%3.0f%%", fraction * 100)
    let line =
      "\r\u{1B}[K\(label) \(bar) \(percent)  \(rate(elapsed))  \(Format.duration(left)) left"
    FileHandle.standardError.write(Data(line.utf8))
  }

  private func rate(_ elapsed: Double) -> String {
    switch unit {
    case .bytes: Format.bytes(Int(done / elapsed)) + "/s"
    case .items(let name): String(format: "%.1f %@/s", done / elapsed, name)
    }
  }
}
