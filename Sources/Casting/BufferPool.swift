internal import Synchronization

/// Working memory of cast jobs, reused so that each piece does not fault its pages in anew.
final class BufferPool: Sendable {
  /// Memory that one worker uses at a time.
  struct Buffer: @unchecked Sendable {
    // Safe: owned by whoever took it from the pool, one worker at a time.
    let bytes: UnsafeMutableRawBufferPointer
  }

  private let free = Mutex<[Buffer]>([])

  deinit {
    free.withLock { buffers in for buffer in buffers { buffer.bytes.deallocate() } }
  }

  /// Runs `body` with at least `count` bytes of unspecified content, aligned to 64.
  func with<Result, Failure: Error>(
    _ count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let buffer = take(count)
    defer { free.withLock { $0.append(buffer) } }
    return try body(UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<count]))
  }

  private func take(_ count: Int) -> Buffer {
    let found = free.withLock { buffers -> Buffer? in
      guard let index = buffers.lastIndex(where: { $0.bytes.count >= count }) else { return nil }
      return buffers.remove(at: index)
    }
    return found ?? Buffer(bytes: .allocate(byteCount: max(count, 1), alignment: 64))
  }
}
