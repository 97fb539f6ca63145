internal import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A file read with `pread`: any thread, any offset, and I/O errors come back as errors.
///
/// Prefer it to a mapping for bytes that are read once: a disk that fails or a file that shrinks
/// is then a thrown error instead of a signal.
package final class FileReader: Sendable {
  package let path: String
  /// Length in bytes when it was opened.
  package let count: Int
  /// What tells this file from another one that is put in its place later.
  package let identity: Identity
  let descriptor: Int32
  /// Made when bytes are first lent in place.
  let windows = Mutex<FileWindows?>(nil)

  /// Device, inode, size and modification time of a file.
  package struct Identity: Hashable, Sendable {
    package let device: UInt64
    package let inode: UInt64
    package let size: Int
    /// Nanoseconds since 1970.
    package let modified: Int

    init(_ status: stat) {
      device = UInt64(truncatingIfNeeded: status.st_dev)
      inode = UInt64(truncatingIfNeeded: status.st_ino)
      size = Int(status.st_size)
      #if canImport(Glibc)
        let time = status.st_mtim
      #else
        let time = status.st_mtimespec
      #endif
      modified = Int(time.tv_sec) &* 1_000_000_000 &+ Int(time.tv_nsec)
    }
  }

  /// - Throws: `file.open` or `file.notRegular` with the system's reason.
  package init(path: String) throws(IngotError) {
    let opened = open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else {
      throw IngotError("file.open", "cannot open: \(SystemCall.reason())", path: path)
    }
    var status = stat()
    guard fstat(opened, &status) == 0 else {
      let reason = SystemCall.reason()
      close(opened)
      throw IngotError("file.open", "cannot read its size: \(reason)", path: path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(opened)
      throw IngotError("file.notRegular", "is not a regular file", path: path)
    }
    self.path = path
    count = Int(status.st_size)
    identity = Identity(status)
    descriptor = opened
  }

  deinit { close(descriptor) }

  /// Fills `buffer` from `offset`.
  ///
  /// - Throws: `file.shrank` when the file ends before the buffer is full, `file.read` with the
  ///   system's reason.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(IngotError) {
    precondition(offset >= 0, "negative file offset")
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = SystemCall.retrying {
        pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      }
      guard got >= 0 else {
        throw IngotError(
          "file.read", "cannot be read: \(SystemCall.reason())", path: path, offset: offset + done)
      }
      guard got > 0 else { throw shrank(to: offset + done) }
      done += got
    }
  }

  func shrank(to end: Int) -> IngotError {
    IngotError(
      "file.shrank", "ends at byte \(end); it had \(count) bytes when it was opened",
      path: path, offset: end,
      advice: "Something changed the file while it was being read. Try again.")
  }

  /// The bytes of a range as an array; the caller bounds `count`.
  package func bytes(at offset: Int, count: Int) throws(IngotError) -> [UInt8] {
    var failure: IngotError?
    let result = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      do throws(IngotError) {
        let raw = UnsafeMutableRawBufferPointer(buffer)
        try read(into: UnsafeMutableRawBufferPointer(rebasing: raw[..<count]), at: offset)
        used = count
      } catch {
        failure = error
        used = 0
      }
    }
    if let failure { throw failure }
    return result
  }

  /// Tells the system which range will be needed, or will not be needed again.
  package func advise(_ advice: AccessAdvice, _ range: Range<Int>) {
    #if canImport(Glibc)
      // A hint: its failure changes nothing but speed.
      _ = posix_fadvise(
        descriptor, off_t(range.lowerBound), off_t(range.count), advice.fileAdvice)
    #endif
  }

  /// The SHA-256 of the whole file, read in order in pieces of 1 MiB.
  package func checksum() throws(IngotError) -> Checksum {
    var hasher = Checksum.Hasher()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < count {
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<min(buffer.count, count - offset)])
      try read(into: piece, at: offset)
      hasher.update(UnsafeRawBufferPointer(piece))
      offset += piece.count
    }
    return hasher.finish()
  }
}
