#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension FileReader {
  /// Lends bytes where the page cache has them, which saves the copy that `read` makes.
  ///
  /// For bytes that are looked at once and soon: a file that shrinks or a disk that fails while
  /// `body` looks is a signal, which `SignalGuard` turns into a message.
  ///
  /// - Throws: `file.shrank` when the file ends before the range does, `file.map` with the
  ///   system's reason; and what `body` throws.
  package func withMapping<Result>(
    of range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    guard !range.isEmpty else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    try requireBytes(upTo: range.upperBound)
    // A mapping starts on a page.
    let start = range.lowerBound & ~(Int(getpagesize()) - 1)
    let length = range.upperBound - start
    guard let address = mmap(nil, length, PROT_READ, Self.mappingFlags, descriptor, off_t(start)),
      address != MAP_FAILED
    else {
      throw IngotError(
        "file.map", "cannot be mapped: \(SystemCall.reason())", path: path,
        offset: range.lowerBound)
    }
    let mapped = UnsafeRawBufferPointer(start: address, count: length)
    let registration = GuardedRegistry.mappings.register(path: path, range: mapped)
    defer {
      registration?.release()
      munmap(address, length)
    }
    return try body(UnsafeRawBufferPointer(rebasing: mapped[(range.lowerBound - start)...]))
  }

  /// - Throws: `file.shrank`, or `file.read` when the file's length cannot be asked.
  private func requireBytes(upTo end: Int) throws(IngotError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw IngotError("file.read", "cannot be read: \(SystemCall.reason())", path: path)
    }
    guard Int(status.st_size) >= end else { throw shrank(to: Int(status.st_size)) }
  }

  #if canImport(Glibc)
    /// All pages at once: one by one, their faults would cost what the copy did.
    private static let mappingFlags = MAP_PRIVATE | Int32(MAP_POPULATE)
  #else
    private static let mappingFlags = MAP_PRIVATE
  #endif
}
