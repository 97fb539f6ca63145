/// Memory on a page boundary that grows and is never shared: in huge pages where it is large, because kernels
/// walk through it in steps of thousands of bytes and would need the address of a page each time.
package struct AlignedMemory: ~Copyable {
  private var pages = ZeroedPages(count: 0)

  package var base: UnsafeMutableRawPointer { pages.base }

  package init() {}

  /// At least `count` bytes; what was there is lost when they grow.
  package mutating func reserve(_ count: Int) -> UnsafeMutableRawPointer {
    if count > pages.count {
      let grown = max(count, 2 * pages.count)
      // The old memory goes first, so that there are never both.
      pages = ZeroedPages(count: 0)
      pages = ZeroedPages(count: grown)
    }
    return pages.base
  }
}
