#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Writes a file that appears under its name complete or not at all.
///
/// Bytes go to a sibling temporary `NAME.partial-<tag>`; `commit()` forces them to the disk, renames
/// the temporary over the name and forces the folder. Until then, and after any failure, the old
/// file (or none) is what everybody else sees.
package final class AtomicFileWriter: Sendable {
  /// The name the file will have.
  package let path: String
  /// The sibling that is being written.
  package let temporaryPath: String
  /// Final length in bytes.
  package let count: Int
  /// True when `init` was asked to continue and found a temporary of the right length.
  package let isContinuation: Bool
  private let descriptor: Int32
  /// Held until the end, released once.
  private let registration: GuardedRegistry.Slot?

  /// Creates the temporary with its final length and reserves its disk space.
  ///
  /// - Parameters:
  ///   - tag: Ends the temporary's name; the process id when nil. Two writers of one tag exclude
  ///     each other with a lock.
  ///   - continuing: Keep the bytes of a temporary of that tag and length that an interrupted
  ///     writer left.
  ///   - keepsOnInterrupt: Whether Control-C leaves the temporary, to be continued later.
  ///   - reserving: Reserve the space now; false when `count` is only an upper bound.
  /// - Throws: `file.create`, `file.busy` when another process writes it, `file.noSpace` when the
  ///   disk cannot hold it.
  package init(
    path: String, count: Int, tag: String? = nil, continuing: Bool = false,
    keepsOnInterrupt: Bool = false, reserving: Bool = true
  ) throws(IngotError) {
    precondition(count >= 0, "negative file length")
    let temporary = Self.temporaryPath(for: path, tag: tag ?? String(getpid()))
    let opened = try Self.openLocked(temporary)
    do throws(IngotError) {
      let status = try Self.status(opened, temporary)
      isContinuation = continuing && status.st_size == off_t(count) && count > 0
      if !isContinuation, status.st_size > 0, ftruncate(opened, 0) != 0 {
        throw IngotError(
          "file.create", "cannot be emptied: \(SystemCall.reason())", path: temporary)
      }
      if reserving { try Self.reserve(opened, count, temporary) }
    } catch {
      // What an interrupted run left stays for the next attempt.
      if !continuing { unlink(temporary) }
      close(opened)
      throw error
    }
    self.path = path
    temporaryPath = temporary
    self.count = count
    descriptor = opened
    registration =
      keepsOnInterrupt ? nil : GuardedRegistry.temporaries.register(path: temporary)
  }

  deinit {
    registration?.release()
    close(descriptor)
  }

  /// `NAME.partial-<tag>` beside `path`.
  package static func temporaryPath(for path: String, tag: String) -> String {
    "\(path).partial-\(tag)"
  }

  /// Opens or creates the temporary and takes its lock.
  ///
  /// Another writer of the same tag may finish between the two: what was opened then has the final
  /// name and must not be touched, so the name is looked up again under the lock.
  private static func openLocked(_ path: String) throws(IngotError) -> Int32 {
    while true {
      let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
      guard opened >= 0 else {
        throw IngotError(
          "file.create", "cannot create the temporary file: \(SystemCall.reason())", path: path)
      }
      // A file system without locks gives another error: then nobody is excluded.
      if flock(opened, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK {
        close(opened)
        throw IngotError(
          "file.busy", "is being written by another process", path: path,
          advice: "Wait for it, or write to another name.")
      }
      var (held, named) = (stat(), stat())
      if fstat(opened, &held) == 0, lstat(path, &named) == 0, held.st_dev == named.st_dev,
        held.st_ino == named.st_ino
      {
        return opened
      }
      close(opened)
    }
  }

  private static func status(_ descriptor: Int32, _ path: String) throws(IngotError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw IngotError("file.create", "cannot be examined: \(SystemCall.reason())", path: path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw IngotError("file.notRegular", "is not a regular file", path: path)
    }
    return status
  }

  /// Reserves real blocks where the file system can, so that a full disk shows now and not at
  /// 99 %; elsewhere compares with the free space.
  private static func reserve(
    _ descriptor: Int32, _ count: Int, _ path: String
  ) throws(IngotError) {
    guard count > 0 else { return }
    #if canImport(Glibc)
      // Where the file system cannot, glibc touches every block: slower, the same promise.
      var code = EINTR
      while code == EINTR { code = posix_fallocate(descriptor, 0, off_t(count)) }
      if code == 0 { return }
      if code != EOPNOTSUPP && code != ENOSYS && code != EINVAL {
        throw sizeError(code, count, path)
      }
    #endif
    var space = statvfs()
    if fstatvfs(descriptor, &space) == 0 {
      let (free, overflow) = UInt64(space.f_bavail).multipliedReportingOverflow(
        by: UInt64(space.f_frsize))
      if !overflow && free < UInt64(count) { throw sizeError(ENOSPC, count, path) }
    }
    guard ftruncate(descriptor, off_t(count)) == 0 else { throw sizeError(errno, count, path) }
  }

  private static func sizeError(_ code: Int32, _ count: Int, _ path: String) -> IngotError {
    let full = code == ENOSPC || code == EDQUOT || code == EFBIG
    return IngotError(
      full ? "file.noSpace" : "file.create",
      "cannot reserve \(count) bytes: \(SystemCall.reason(code))", path: path,
      advice: full ? "Free some space, or write to another disk." : nil)
  }
}

extension AtomicFileWriter {
  /// Writes `bytes` at `offset`, from any thread. Ranges of different calls must not overlap.
  ///
  /// - Throws: `file.noSpace` or `file.write` with the system's reason.
  package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(IngotError) {
    precondition(
      offset >= 0 && offset <= count && bytes.count <= count - offset,
      "write outside the planned length")
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let put = SystemCall.retrying {
        pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      }
      guard put > 0 else {
        let code = put == 0 ? ENOSPC : errno
        throw IngotError(
          code == ENOSPC || code == EDQUOT ? "file.noSpace" : "file.write",
          "cannot be written: \(SystemCall.reason(code))", path: temporaryPath,
          offset: offset + done)
      }
      done += put
    }
  }

  package func write(_ bytes: [UInt8], at offset: Int) throws(IngotError) {
    try bytes.withRawBytes { (buffer) throws(IngotError) in try write(buffer, at: offset) }
  }

  /// Reads back bytes that were written.
  ///
  /// - Throws: `file.read` with the system's reason.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(IngotError) {
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = SystemCall.retrying {
        pread(descriptor, rest.baseAddress, rest.count, off_t(offset + done))
      }
      guard got > 0 else {
        throw IngotError(
          "file.read",
          "cannot be read back: \(got == 0 ? "it ends too early" : SystemCall.reason())",
          path: temporaryPath, offset: offset + done)
      }
      done += got
    }
  }

  /// Asks the system to start writing a range to the disk, so that the disk works while the
  /// processor does and little is left for `commit` to wait for.
  package func startWriteback(_ range: Range<Int>) {
    #if canImport(Glibc)
      // Linux starts to write dirty pages of such a range, and can only drop clean ones. A hint:
      // its failure changes nothing but speed.
      _ = posix_fadvise(
        descriptor, off_t(range.lowerBound), off_t(range.count), Int32(POSIX_FADV_DONTNEED))
    #endif
  }

  /// Makes the file appear under its name: fsync, rename, fsync of the folder.
  ///
  /// - Parameter length: Cut the file here first, when `count` was only an upper bound.
  /// - Throws: `file.sync` or `file.rename` with the system's reason; the temporary is then
  ///   still there.
  package func commit(length: Int? = nil) throws(IngotError) {
    if let length {
      precondition((0...count).contains(length), "longer than planned")
      guard ftruncate(descriptor, off_t(length)) == 0 else {
        throw IngotError(
          "file.write", "cannot be cut: \(SystemCall.reason())", path: temporaryPath)
      }
    }
    try synchronize()
    guard rename(temporaryPath, path) == 0 else {
      throw IngotError(
        "file.rename", "cannot be renamed to \(path): \(SystemCall.reason())", path: temporaryPath)
    }
    try Self.synchronizeFolder(of: path)
  }

  /// Forces what was written to the disk.
  package func synchronize() throws(IngotError) {
    guard SystemCall.retrying({ Int(fsync(descriptor)) }) == 0 else {
      throw IngotError(
        "file.sync", "cannot be written to the disk: \(SystemCall.reason())", path: temporaryPath)
    }
  }

  /// Removes the temporary. Nothing else changed.
  package func abandon() {
    unlink(temporaryPath)
  }

  private static func synchronizeFolder(of path: String) throws(IngotError) {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    let joined = parts.joined(separator: "/")
    let folder = joined.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : joined
    let opened = open(folder, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else {
      throw IngotError("file.sync", "cannot open: \(SystemCall.reason())", path: folder)
    }
    defer { close(opened) }
    // Some file systems cannot sync a folder (EINVAL); the rename is then as durable as it gets.
    guard SystemCall.retrying({ Int(fsync(opened)) }) == 0 || errno == EINVAL else {
      throw IngotError(
        "file.sync", "cannot be written to the disk: \(SystemCall.reason())", path: folder)
    }
  }

  /// Writes a small file in one go.
  package static func write(_ bytes: [UInt8], to path: String) throws(IngotError) {
    let writer = try AtomicFileWriter(path: path, count: bytes.count)
    do throws(IngotError) {
      try writer.write(bytes, at: 0)
      try writer.commit()
    } catch {
      writer.abandon()
      throw error
    }
  }
}
