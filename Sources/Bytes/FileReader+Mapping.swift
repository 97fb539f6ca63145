#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension FileReader {
  /// Lends bytes where the page cache has them, which saves the copy that `read` makes.
  ///
  /// For bytes that are passed over once or a few times: a file that shrinks or a disk that fails
  /// while `body` looks is a signal, which `SignalGuard` turns into a message.
  ///
  /// - Parameter passes: how often each byte of the file will be lent in all; pages wait for the
  ///   next pass when it is near.
  /// - Throws: `file.shrank` when the file ends before the range does, `file.map` and `file.read`
  ///   with a reason; and what `body` throws.
  package func withMapping<Result>(
    of range: Range<Int>, passes: Int = 1,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    guard !range.isEmpty else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    try requireBytes(upTo: range.upperBound)
    return try mappedWindows().with(range, passes: passes, body)
  }

  /// Windows of the file whose pages are in the page table now.
  package var residentWindows: Int { windows.withLock { $0?.mappedWindows ?? 0 } }

  private func mappedWindows() throws(IngotError) -> FileWindows {
    try windows.withLock { (windows) throws(IngotError) in
      if let windows { return windows }
      let fresh = try FileWindows(descriptor: descriptor, path: path, count: count)
      windows = fresh
      return fresh
    }
  }

  /// - Throws: `file.shrank`, or `file.read` when the file's length cannot be asked.
  private func requireBytes(upTo end: Int) throws(IngotError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw IngotError("file.read", "cannot be read: \(SystemCall.reason())", path: path)
    }
    guard Int(status.st_size) >= end else { throw shrank(to: Int(status.st_size)) }
  }
}
