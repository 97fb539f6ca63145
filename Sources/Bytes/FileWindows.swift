internal import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A file mapped for passes over its bytes: pages are brought in a window at a time, and let go
/// when all passes are through with the window.
///
/// Filling page tables takes about a tenth of the time of SHA-256. Passes that follow each other
/// within `keptBytes` share that cost, and the resident memory stays bounded.
package final class FileWindows: Sendable {
  private let path: String
  private let count: Int
  // Safe: the mapping is read-only and lives exactly as long as this object.
  private nonisolated(unsafe) let base: UnsafeMutableRawPointer
  private let registration: GuardedRegistry.Slot?
  private let windows: Mutex<Table>

  /// Bytes brought in by one call of the system.
  package static let windowBytes = 4 << 20
  /// Bytes of all files together that may wait for a later pass; windows beyond are let go after
  /// each use.
  static let keptBytes = 768 << 20
  private static let mappedBytes = Atomic(0)

  /// One stretch of the file.
  private struct Window {
    /// How many bodies look at it now.
    var users = 0
    /// Bytes that were looked at, summed over the passes.
    var seen = 0
    var isMapped = false
  }

  private struct Table {
    var windows: [Window]
    var mapped = 0
  }

  /// Maps `count` bytes, more than 0, of an open file.
  ///
  /// - Throws: `file.map` with the system's reason.
  init(descriptor: Int32, path: String, count: Int) throws(IngotError) {
    guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0),
      address != MAP_FAILED
    else {
      throw IngotError("file.map", "cannot be mapped: \(SystemCall.reason())", path: path)
    }
    self.path = path
    self.count = count
    base = address
    registration = GuardedRegistry.mappings.register(
      path: path, range: UnsafeRawBufferPointer(start: address, count: count))
    windows = Mutex(
      Table(windows: .init(repeating: Window(), count: (count - 1) / Self.windowBytes + 1)))
  }

  deinit {
    registration?.release()
    Self.mappedBytes.subtract(mappedWindows * Self.windowBytes, ordering: .relaxed)
    munmap(base, count)
  }

  /// Lends a range, not empty and inside the file.
  ///
  /// - Parameter passes: how often the file is looked at in all.
  /// - Throws: `file.read` when its bytes cannot be brought in, and what `body` throws.
  func with<Result>(
    _ range: Range<Int>, passes: Int,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    let touched = range.lowerBound / Self.windowBytes...(range.upperBound - 1) / Self.windowBytes
    let missing = acquire(touched)
    defer { for index in touched { release(index, range, passes) } }
    for index in missing {
      try populate(index)
      markMapped(index)
    }
    return try body(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
  }

  /// Windows whose pages are in the page table now.
  var mappedWindows: Int { windows.withLock { $0.mapped } }

  private func bounds(_ index: Int) -> Range<Int> {
    index * Self.windowBytes..<min((index + 1) * Self.windowBytes, count)
  }

  /// - Returns: the windows whose pages are to be brought in.
  private func acquire(_ indices: ClosedRange<Int>) -> [Int] {
    windows.withLock { table in
      for index in indices { table.windows[index].users += 1 }
      return indices.filter { !table.windows[$0].isMapped }
    }
  }

  /// After its pages came in: two threads may have brought them, and whoever comes while they do
  /// brings them too, so that nobody looks at pages that could not be read.
  private func markMapped(_ index: Int) {
    windows.withLock { table in
      guard !table.windows[index].isMapped else { return }
      table.windows[index].isMapped = true
      table.mapped += 1
      Self.mappedBytes.add(Self.windowBytes, ordering: .relaxed)
    }
  }

  private func populate(_ index: Int) throws(IngotError) {
    // Where the system lacks the call, pages come one by one as they are touched.
    #if canImport(Glibc)
      let window = bounds(index)
      guard madvise(base + window.lowerBound, window.count, Self.populateRead) != 0, errno == EFAULT
      else { return }
      throw IngotError(
        "file.read", "cannot be read: the disk failed or the file shrank", path: path,
        offset: window.lowerBound)
    #endif
  }

  private func release(_ index: Int, _ range: Range<Int>, _ passes: Int) {
    let window = bounds(index)
    windows.withLock { table in
      table.windows[index].users -= 1
      table.windows[index].seen += range.clamped(to: window).count
      let isDone = table.windows[index].seen >= passes * window.count
      let isOver = Self.mappedBytes.load(ordering: .relaxed) > Self.keptBytes
      guard table.windows[index].users == 0, table.windows[index].isMapped, isDone || isOver
      else { return }
      _ = madvise(base + window.lowerBound, window.count, Int32(MADV_DONTNEED))
      table.windows[index].isMapped = false
      table.mapped -= 1
      Self.mappedBytes.subtract(Self.windowBytes, ordering: .relaxed)
    }
  }

  /// MADV_POPULATE_READ of Linux 5.14, which older headers lack.
  private static let populateRead: Int32 = 22
}
