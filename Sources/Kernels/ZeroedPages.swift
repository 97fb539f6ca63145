#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Zeroed memory straight from the system, in huge pages where it offers them: pages cost nothing until
/// touched.
package struct ZeroedPages: ~Copyable, Sendable {
  // Safe: whoever owns the pages decides who writes to them.
  package nonisolated(unsafe) let base: UnsafeMutableRawPointer
  package let count: Int

  package init(count: Int) {
    self.count = count
    guard count > 0 else {
      base = .allocate(byteCount: 1, alignment: 64)
      return
    }
    let address = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address, address != MAP_FAILED else {
      preconditionFailure("the system has no \(count) bytes left")
    }
    base = address
    #if os(Linux)
      madvise(base, count, MADV_HUGEPAGE)
    #endif
  }

  deinit {
    if count > 0 { munmap(base, count) } else { base.deallocate() }
  }
}
