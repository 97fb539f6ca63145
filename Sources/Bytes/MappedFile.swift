#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A file mapped read-only into memory, unmapped when the last reference goes.
///
/// Opening costs the same for any size: no byte is read until it is touched.
package final class MappedFile: Sendable {
  /// The path as the user gave it, for messages.
  package let path: String
  /// Length of the file in bytes when it was opened.
  package let count: Int
  // Safe: the mapping is read-only and lives exactly as long as this object.
  private nonisolated(unsafe) let base: UnsafeRawPointer
  /// Lets a signal handler name the file when a page cannot be read.
  private let registration: GuardedRegistry.Slot?
  /// What tells this file from another one that is put in its place later.
  package let identity: FileReader.Identity

  /// - Throws: `file.open`, `file.notRegular` or `file.map` with the system's reason.
  package init(path: String) throws(IngotError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw IngotError("file.open", "cannot open: \(Self.reason())", path: path)
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw IngotError("file.open", "cannot read its size: \(Self.reason())", path: path)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw IngotError("file.notRegular", "is not a regular file", path: path)
    }
    self.path = path
    count = Int(status.st_size)
    identity = FileReader.Identity(status)
    guard count > 0 else {
      // mmap refuses empty files; an empty view needs no mapping.
      base = UnsafeRawPointer(Self.nothing)
      registration = nil
      return
    }
    guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0),
      address != MAP_FAILED
    else {
      throw IngotError("file.map", "cannot be mapped: \(Self.reason())", path: path)
    }
    base = UnsafeRawPointer(address)
    registration = GuardedRegistry.mappings.register(
      path: path, range: UnsafeRawBufferPointer(start: base, count: count))
  }

  // Safe: an address to point at when there is nothing; never read or written.
  private nonisolated(unsafe) static let nothing = UnsafeMutableRawPointer.allocate(
    byteCount: 1, alignment: 1)

  deinit {
    registration?.release()
    if count > 0 { munmap(UnsafeMutableRawPointer(mutating: base), count) }
  }

  /// The whole file. Valid only while this object is alive: keep a reference beside the buffer.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: count > 0 ? base : nil, count: count)
  }

  private static func reason() -> String { SystemCall.reason() }
}
