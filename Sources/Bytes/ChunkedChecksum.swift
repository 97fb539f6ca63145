/// The checksum of a tensor: SHA-256 over the concatenated SHA-256 digests of its 1 MiB chunks.
///
/// Chunks hash independently, so any number of threads can work on one tensor and a writer can
/// hash each chunk while it is still in its cache.
package enum ChunkedChecksum {
  /// Bytes of every chunk but the last.
  package static let chunkBytes = 1 << 20

  /// Number of chunks in `byteCount` bytes; no bytes have none.
  package static func chunkCount(byteCount: Int) -> Int {
    byteCount / chunkBytes + (byteCount % chunkBytes == 0 ? 0 : 1)
  }

  /// The checksum of one buffer, in one thread.
  package static func of(_ bytes: UnsafeRawBufferPointer) -> Checksum {
    var outer = Checksum.Hasher()
    var start = 0
    while start < bytes.count {
      let end = min(start + chunkBytes, bytes.count)
      let inner = Checksum(of: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      inner.bytes.withUnsafeBytes { outer.update($0) }
      start = end
    }
    return outer.finish()
  }
}
