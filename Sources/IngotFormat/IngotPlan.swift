package import Bytes

/// Everything about an `.ingot` file but its tensor data: computes every offset and the exact
/// length before a byte is written.
package struct IngotPlan: Sendable {
  /// A tensor as the caller describes it. The order of the list is the order of the data.
  package struct Tensor: Sendable {
    package let name: String
    package let shape: [Int]
    package let storage: IngotStorage
    package let exactRows: IngotExactRowsLayout?

    package init(
      name: String, shape: [Int], storage: IngotStorage, exactRows: IngotExactRowsLayout? = nil
    ) {
      self.name = name
      self.shape = shape
      self.storage = storage
      self.exactRows = exactRows
    }
  }

  /// A metadata value to store.
  package struct Metadata: Sendable {
    package let key: String
    package var value: IngotMetadataValue
    /// Stores the value as a zstd frame where that is smaller. The bytes of such a file depend on
    /// the version of the zstd library.
    package let isCompressed: Bool

    package init(_ key: String, _ value: IngotMetadataValue, isCompressed: Bool = false) {
      self.key = key
      self.value = value
      self.isCompressed = isCompressed
    }
  }

  /// The tensors with their places, in file order. Checksums are zero until they are known.
  package let tensors: [IngotTensor]
  /// Sorted by key.
  package let metadata: [Metadata]
  /// Where tensor data begins.
  package let dataOffset: Int
  /// The exact length of the finished file.
  package let fileBytes: Int
  /// Hash of the plan and of every metadata value: two plans with the same identity give the
  /// same file when their tensors have the same bytes.
  package let identity: Checksum

  let image: FrontImage

  /// - Parameters:
  ///   - alignment: Where tensors start; only a program that maps single tensors on a system of
  ///     larger pages needs more than 4 KiB.
  ///   - inputs: The files the tensors come from. They enter `identity`, so that an interrupted
  ///     run is not continued with other inputs, and not the file.
  /// - Throws: `ingot.name`, `ingot.duplicate`, `ingot.shape`, `ingot.metadata`, `ingot.limit` for
  ///   what the format cannot hold.
  package init(
    metadata: [Metadata], tensors: [Tensor], alignment: Int = IngotLayout.pageBytes,
    inputs: [FileReader.Identity] = []
  ) throws(IngotError) {
    precondition(
      alignment.nonzeroBitCount == 1 && alignment >= IngotLayout.pageBytes
        && alignment <= IngotLayout.pageLimit, "alignment must be a power of two, 4 KiB…1 MiB")
    guard tensors.count <= IngotLayout.Limits.tensorCount else {
      throw IngotError("ingot.limit", "\(tensors.count) tensors; the format holds 2^24")
    }
    self.metadata = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    let nameOrder = try Self.nameOrder(tensors)
    try Self.checkKeys(self.metadata)

    var front = try FrontImage(
      metadata: self.metadata, tensors: tensors, nameOrder: nameOrder, alignment: alignment)
    dataOffset = front.dataOffset
    var placed: [IngotTensor] = []
    placed.reserveCapacity(tensors.count)
    var end = dataOffset
    for tensor in tensors {
      guard let bytes = tensor.storage.byteCount(shape: tensor.shape, exactRows: tensor.exactRows)
      else {
        throw IngotError(
          "ingot.shape",
          "shape \(tensor.shape) cannot be stored as \(tensor.storage.name)", tensor: tensor.name)
      }
      let start = IngotLayout.aligned(end, to: alignment)
      guard bytes <= IngotLayout.Limits.fileBytes - start else {
        throw IngotError("ingot.limit", "the file would exceed 2^60 bytes", tensor: tensor.name)
      }
      end = start + bytes
      placed.append(
        IngotTensor(
          name: tensor.name, shape: tensor.shape, storage: tensor.storage,
          exactRows: tensor.exactRows, byteRange: start..<end, checksum: .zero))
    }
    self.tensors = placed
    fileBytes = IngotLayout.aligned(end, to: alignment)
    front.place(placed, fileBytes: fileBytes)
    identity = Self.identity(front, inputs)
    image = front
  }

  private static func identity(_ front: FrontImage, _ inputs: [FileReader.Identity]) -> Checksum {
    var builder = ByteBuilder()
    builder.append(contentsOf: Checksum(of: front.bytes).bytes)
    for input in inputs {
      builder.append(input.device)
      builder.append(input.inode)
      builder.append(input.size)
      builder.append(input.modified)
    }
    return Checksum(of: builder.bytes)
  }

  /// Indices of the tensors in ascending order of their names' bytes.
  private static func nameOrder(_ tensors: [Tensor]) throws(IngotError) -> [UInt32] {
    for tensor in tensors where !IngotNames.isTensorName(tensor.name) {
      throw IngotError(
        "ingot.name", "a tensor name must have 1…4096 bytes and no control characters",
        tensor: tensor.name)
    }
    let order = tensors.indices.sorted {
      tensors[$0].name.utf8.lexicographicallyPrecedes(tensors[$1].name.utf8)
    }
    for (left, right) in zip(order, order.dropFirst())
    where tensors[left].name.utf8.elementsEqual(tensors[right].name.utf8) {
      throw IngotError("ingot.duplicate", "two tensors have this name", tensor: tensors[left].name)
    }
    return order.map { UInt32($0) }
  }

  private static func checkKeys(_ metadata: [Metadata]) throws(IngotError) {
    guard metadata.count <= IngotLayout.Limits.metadataCount else {
      throw IngotError("ingot.limit", "\(metadata.count) metadata values; the format holds 65536")
    }
    for item in metadata where !IngotNames.isMetadataKey(item.key) {
      throw IngotError(
        "ingot.metadata",
        "the key \"\(item.key)\" must have 1…255 characters of a…z, 0…9, '.', '_' and '-'")
    }
    for (left, right) in zip(metadata, metadata.dropFirst()) where left.key == right.key {
      throw IngotError("ingot.duplicate", "two metadata values have the key \(left.key)")
    }
  }
}

/// What names and keys may look like.
package enum IngotNames {
  package static func isTensorName(_ name: String) -> Bool {
    (1...IngotLayout.Limits.tensorNameBytes).contains(name.utf8.count)
      && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }

  package static func isMetadataKey(_ key: String) -> Bool {
    (1...IngotLayout.Limits.metadataKeyBytes).contains(key.utf8.count)
      && key.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
          UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}
