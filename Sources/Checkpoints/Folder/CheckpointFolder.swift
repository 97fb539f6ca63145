package import Bytes

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A folder whose files are read without ever leaving it.
///
/// A name must be a plain file name, and what it names must lie in the folder when all symbolic
/// links are followed. One exception: the download cache of `huggingface_hub` keeps
/// `snapshots/<revision>/<name>` as links to `blobs/<hash>` of the same repository, so from a
/// folder inside `snapshots` that one neighbour may be reached.
package struct CheckpointFolder: Sendable {
  /// As the user named it.
  package let path: String
  private let roots: [String]

  /// - Throws: `checkpoint.notFolder`.
  package init(path: String) throws(IngotError) {
    var status = stat()
    guard stat(path, &status) == 0, let root = Self.resolved(path) else {
      throw IngotError(
        "checkpoint.notFolder", "cannot open: \(SystemCall.reason())", path: path)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw IngotError("checkpoint.notFolder", "is not a folder", path: path)
    }
    self.path = path
    let parent = root.split(separator: "/").dropLast().last
    if parent == "snapshots", let blobs = Self.resolved(root + "/../../blobs") {
      roots = [root, blobs]
    } else {
      roots = [root]
    }
  }

  private static func resolved(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// Whether a text is the name of a file rather than a path.
  package static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 }
  }

  /// The path of a file of the folder; nil when there is none of that name.
  ///
  /// - Throws: `checkpoint.escape` when it is a link out of the folder, `file.open` when it is a
  ///   link to nothing, `file.notRegular` when it is a folder, a pipe or a device (opening a pipe
  ///   could wait for ever).
  package func filePath(_ name: String) throws(IngotError) -> String? {
    guard Self.isPlainName(name) else {
      throw IngotError(
        "checkpoint.escape", "\"\(name)\" is not the name of a file in the folder", path: path)
    }
    let file = path.hasSuffix("/") ? path + name : "\(path)/\(name)"
    var status = stat()
    guard lstat(file, &status) == 0 else {
      if errno == ENOENT || errno == ENAMETOOLONG { return nil }
      throw IngotError("file.open", "cannot open: \(SystemCall.reason())", path: file)
    }
    guard let target = Self.resolved(file) else {
      throw IngotError("file.open", "cannot open: \(SystemCall.reason())", path: file)
    }
    guard roots.contains(where: { target.hasPrefix($0 == "/" ? $0 : $0 + "/") }) else {
      throw IngotError(
        "checkpoint.escape", "is a link out of the folder, to \(target)", path: file,
        advice: "Put the file itself into the folder.")
    }
    guard stat(target, &status) == 0 else {
      throw IngotError("file.open", "cannot open: \(SystemCall.reason())", path: file)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw IngotError("file.notRegular", "is not a regular file", path: file)
    }
    return file
  }

  /// The bytes of a small file, verbatim; nil when there is none of that name.
  ///
  /// - Throws: `checkpoint.tooLarge` beyond `maximum` bytes; the errors of `filePath`; `file.…`.
  package func bytes(_ name: String, maximum: Int) throws(IngotError) -> [UInt8]? {
    guard let file = try filePath(name) else { return nil }
    let reader = try FileReader(path: file)
    guard reader.count <= maximum else {
      throw IngotError(
        "checkpoint.tooLarge", "has \(reader.count) bytes; at most \(maximum) are read", path: file)
    }
    return try reader.bytes(at: 0, count: reader.count)
  }

  /// The names in the folder in the order of their bytes.
  package func names() throws(IngotError) -> [String] {
    guard let folder = opendir(path) else {
      throw IngotError("file.open", "cannot be listed: \(SystemCall.reason())", path: path)
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      // Safe: the system ends the name with a zero byte inside the record it returned.
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 1) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Runs `read` on the bytes of a file; its errors get the file's path, and a file that turns
  /// out to be an LFS pointer or a web page is called that.
  func parse<Value>(
    _ name: String, _ bytes: [UInt8], _ read: ([UInt8]) throws(IngotError) -> Value
  ) throws(IngotError) -> Value {
    let file = path.hasSuffix("/") ? path + name : "\(path)/\(name)"
    do throws(IngotError) {
      return try read(bytes)
    } catch {
      let prefix = Array(bytes.prefix(FileSignature.prefixLength))
      if error.code.hasPrefix("json."), let signature = FileSignature(prefix: prefix),
        signature != .json
      {
        throw signature.error(insteadOf: "a JSON file", path: file)
      }
      throw error.inFile(file)
    }
  }
}
