import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Paths (and address ranges) that a signal handler can find without locks or allocation.
///
/// A fixed table of slots, each with its own path buffer that is never freed once it exists: a
/// handler that runs while another thread changes a slot reads an old path or a new one.
package final class GuardedRegistry: Sendable {
  /// The files that are mapped now, with their address ranges.
  package static let mappings = GuardedRegistry()
  /// The temporary files to remove when the process is interrupted.
  package static let temporaries = GuardedRegistry()

  /// More live entries than this are not guarded, only less well described.
  package static let capacity = 512
  /// Longer paths are cut in messages; a longer temporary is not registered at all.
  static let pathBytes = 4096

  struct Entry: ~Copyable {
    /// 1 while an owner holds the slot.
    let claimed = Atomic<UInt>(0)
    /// Address range; `end` is 0 while the slot is not to be used.
    let start = Atomic<UInt>(0)
    let end = Atomic<UInt>(0)
    /// Address of the path buffer, 0 before the first use.
    let path = Atomic<UInt>(0)
  }

  // Safe: allocated once, never freed; every field of an entry is atomic.
  nonisolated(unsafe) let entries: UnsafeMutablePointer<Entry>

  private init() {
    entries = .allocate(capacity: Self.capacity)
    for index in 0..<Self.capacity { (entries + index).initialize(to: Entry()) }
  }

  /// One taken slot.
  package struct Slot: Sendable {
    let registry: GuardedRegistry
    let index: Int

    /// Gives the slot back; call once.
    package func release() {
      let entry = registry.entries + index
      entry.pointee.end.store(0, ordering: .releasing)
      entry.pointee.claimed.store(0, ordering: .releasing)
    }
  }

  /// Takes a slot for a path; nil when the table is full or the path too long to remove.
  func register(path: String) -> Slot? {
    guard path.utf8.count < Self.pathBytes else { return nil }
    return register(path: path, start: 0, end: 1)
  }

  /// Takes a slot for an address range of a mapped file; nil when the table is full.
  func register(path: String, range: UnsafeRawBufferPointer) -> Slot? {
    let start = UInt(bitPattern: range.baseAddress)
    return register(path: path, start: start, end: start + UInt(range.count))
  }

  private func register(path: String, start: UInt, end: UInt) -> Slot? {
    for index in 0..<Self.capacity {
      let entry = entries + index
      let (won, _) = entry.pointee.claimed.compareExchange(
        expected: 0, desired: 1, ordering: .acquiring)
      guard won else { continue }
      var buffer = UnsafeMutablePointer<UInt8>(
        bitPattern: entry.pointee.path.load(ordering: .relaxed))
      if buffer == nil {
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.pathBytes)
        entry.pointee.path.store(UInt(bitPattern: fresh), ordering: .relaxed)
        buffer = fresh
      }
      guard let buffer else { return nil }
      var length = 0
      for byte in path.utf8.prefix(Self.pathBytes - 1) {
        buffer[length] = byte
        length += 1
      }
      buffer[length] = 0
      entry.pointee.start.store(start, ordering: .relaxed)
      entry.pointee.end.store(end, ordering: .releasing)
      return Slot(registry: self, index: index)
    }
    return nil
  }

  /// The path registered for an address, for use in a signal handler: no locks, no allocation.
  func path(containing address: UInt) -> UnsafePointer<UInt8>? {
    var index = 0
    while index < Self.capacity {
      let end = entries[index].end.load(ordering: .acquiring)
      if end != 0 && address < end && address >= entries[index].start.load(ordering: .relaxed) {
        return UnsafePointer(bitPattern: entries[index].path.load(ordering: .relaxed))
      }
      index += 1
    }
    return nil
  }

  /// Unlinks every registered path, for use in a signal handler.
  func unlinkAll() {
    var index = 0
    while index < Self.capacity {
      if entries[index].end.load(ordering: .acquiring) != 0,
        let path = UnsafeMutableRawPointer(
          bitPattern: entries[index].path.load(ordering: .relaxed))
      {
        unlink(path.assumingMemoryBound(to: CChar.self))
      }
      index += 1
    }
  }
}
