public import Architecture
public import Bytes

/// An `.ingot` file, mapped and checked: ready to use, with no tensor byte read.
///
/// Opening reads the front matter (header, directory, names) into memory of its own, verifies its
/// checksum and every structural rule of `formats/ingot.md`. Tensor data and metadata values stay in
/// the mapping.
public final class IngotFile: Sendable {
  /// The path as the user gave it.
  public let path: String
  /// In file order.
  public let tensors: [IngotTensor]
  /// The shape of the model.
  public let configuration: ModelConfiguration
  /// Owner of the memory that `bytes(of:)` points into.
  package let mapping: MappedFile
  /// The checksum over header and directory. It covers every tensor's and value's checksum, so it
  /// names the whole content.
  public let checksum: Checksum
  /// Format version, such as 1 and 0.
  public let version: (major: Int, minor: Int)

  let nameOrder: [UInt32]
  let metadataEntries: [IngotMetadataEntry]
  /// Ranges of the front matter's sections, in file order.
  let sections: [Range<Int>]

  /// Opens and checks a file.
  ///
  /// - Throws: `file.*` for what the system reports; `ingot.*` for what breaks the format.
  public static func open(_ path: String) throws(IngotError) -> IngotFile {
    do throws(IngotError) {
      return try IngotFile(path: path)
    } catch {
      throw error.inFile(path)
    }
  }

  private init(path: String) throws(IngotError) {
    mapping = try MappedFile(path: path)
    self.path = path
    let front = try FrontMatter(mapping)
    version = (Int(front.header.major), Int(front.header.minor))
    sections = front.header.sections
    checksum = front.header.directoryChecksum
    tensors = try front.tensors()
    nameOrder = try front.nameOrder(of: tensors)
    metadataEntries = try front.metadataEntries()
    configuration = try ModelConfiguration(
      ingotMetadata: IngotMetadataView(entries: metadataEntries, mapping: mapping))
  }

  /// The tensor of that exact name, by binary search.
  public func tensor(named name: String) -> IngotTensor? {
    var low = 0
    var high = nameOrder.count
    while low < high {
      let middle = (low + high) / 2
      let candidate = tensors[Int(nameOrder[middle])]
      if candidate.name.utf8.lexicographicallyPrecedes(name.utf8) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    guard low < nameOrder.count else { return nil }
    let found = tensors[Int(nameOrder[low])]
    return found.name.utf8.elementsEqual(name.utf8) ? found : nil
  }

  /// The tensor's bytes in the mapping, exact rows included. Valid while the file is alive.
  package func bytes(of tensor: IngotTensor) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: mapping.bytes[tensor.byteRange])
  }

  /// Calls `body` with the tensor's bytes, which are valid during the call only.
  public func withBytes<Result>(
    of tensor: IngotTensor, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    try withExtendedLifetime(self) { try body(bytes(of: tensor)) }
  }
}
