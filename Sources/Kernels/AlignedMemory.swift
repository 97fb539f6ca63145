#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Memory on a 64-byte boundary that grows and is never shared.
struct AlignedMemory: ~Copyable {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var count: Int

  init(count: Int = 64) {
    base = .allocate(byteCount: count, alignment: 64)
    self.count = count
  }

  deinit { base.deallocate() }

  /// At least `count` bytes; what was there is lost when they grow.
  mutating func reserve(_ count: Int) -> UnsafeMutableRawPointer {
    if count > self.count {
      base.deallocate()
      self.count = max(count, self.count * 2)
      base = .allocate(byteCount: self.count, alignment: 64)
    }
    return base
  }
}
