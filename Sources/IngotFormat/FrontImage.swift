internal import Bytes
internal import Tensors

/// The bytes of a file before its tensor data, built once by the plan and completed by the writer
/// with checksums.
struct FrontImage: Sendable {
  /// From the start of the file to the end of the last metadata value.
  private(set) var bytes: [UInt8]
  /// Ranges of the sections in file order.
  private(set) var sections: [Range<Int>] = []
  let dataOffset: Int
  private let alignment: Int
  private let tensorCount: Int
  private let metadataCount: Int

  init(
    metadata: [IngotPlan.Metadata], tensors: [IngotPlan.Tensor], nameOrder: [UInt32],
    alignment: Int
  ) throws(IngotError) {
    self.alignment = alignment
    tensorCount = tensors.count
    metadataCount = metadata.count
    var builder = ByteBuilder()
    builder.appendZeros(IngotLayout.headerBytes)

    let tensorStart = builder.count
    var nameOffset = 0
    for tensor in tensors { Self.append(tensor, nameOffset: &nameOffset, to: &builder) }
    sections.append(tensorStart..<builder.count)

    Self.section(&builder, &sections) { builder in
      for index in nameOrder { builder.append(index) }
    }
    Self.section(&builder, &sections) { builder in
      for tensor in tensors { builder.append(contentsOf: tensor.name.utf8) }
      for item in metadata { builder.append(contentsOf: item.key.utf8) }
    }
    builder.pad(to: IngotLayout.sectionAlignment)
    let values = try Self.values(metadata)
    let entriesStart = builder.count
    let valuesStart = IngotLayout.aligned(
      entriesStart + metadata.count * IngotLayout.metadataEntryBytes,
      to: IngotLayout.sectionAlignment)
    for (item, value) in zip(metadata, values) {
      Self.append(item, value, nameOffset: &nameOffset, valuesStart: valuesStart, to: &builder)
    }
    sections.append(entriesStart..<builder.count)
    Self.section(&builder, &sections) { builder in
      for value in values where !value.stored.isEmpty {
        builder.pad(to: IngotLayout.sectionAlignment)
        builder.append(contentsOf: value.stored)
      }
    }
    bytes = builder.bytes
    dataOffset = IngotLayout.aligned(builder.count, to: alignment)
  }

  private static func section(
    _ builder: inout ByteBuilder, _ sections: inout [Range<Int>],
    _ fill: (inout ByteBuilder) -> Void
  ) {
    builder.pad(to: IngotLayout.sectionAlignment)
    let start = builder.count
    fill(&builder)
    sections.append(start..<builder.count)
  }

  private static func append(
    _ tensor: IngotPlan.Tensor, nameOffset: inout Int, to builder: inout ByteBuilder
  ) {
    builder.append(UInt64(nameOffset))
    builder.append(UInt32(tensor.name.utf8.count))
    nameOffset += tensor.name.utf8.count
    switch tensor.storage {
    case .dense(let type):
      builder.append(UInt8(0))
      builder.append(type.rawValue)
      builder.append(UInt16(0))
    case .tiled(let layout):
      builder.append(UInt8(1))
      builder.append(layout.scheme.kind.rawValue)
      builder.append(UInt16(layout.scheme.groupSize))
    }
    builder.append(UInt8(truncatingIfNeeded: tensor.shape.count))
    builder.append(tensor.exactRows?.type.rawValue ?? UInt8(0))
    builder.append(UInt16(0))
    builder.append(UInt32(truncatingIfNeeded: tensor.exactRows?.count ?? 0))
    for index in 0..<IngotLayout.Limits.rank {
      builder.append(index < tensor.shape.count ? UInt64(clamping: tensor.shape[index]) : 0)
    }
    // Place, flags, checksum: filled in later.
    builder.appendZeros(IngotLayout.tensorEntryBytes - IngotLayout.Tensor.dataOffset)
  }

  private struct StoredValue {
    let encoding: IngotMetadataEncoding
    let stored: [UInt8]
    let decodedBytes: Int
    let checksum: Checksum
    let offset: Int
  }

  /// The values' bytes with their offsets from the start of the section.
  private static func values(
    _ metadata: [IngotPlan.Metadata]
  ) throws(IngotError) -> [StoredValue] {
    var result: [StoredValue] = []
    var end = 0
    for item in metadata {
      let plain = item.value.encoded()
      guard plain.count <= IngotLayout.Limits.valueBytes else {
        throw IngotError(
          "ingot.limit", "metadata value \(item.key) has \(plain.count) bytes; the limit is 2^28")
      }
      var stored = plain
      if item.isCompressed {
        let frame = try plain.withRawBytes { (buffer) throws(IngotError) in
          try Zstandard.compress(buffer)
        }
        if frame.count < plain.count { stored = frame }
      }
      let offset = IngotLayout.aligned(end, to: IngotLayout.sectionAlignment)
      if !stored.isEmpty { end = offset + stored.count }
      result.append(
        StoredValue(
          encoding: stored.count < plain.count ? .zstd : .plain, stored: stored,
          decodedBytes: plain.count,
          checksum: item.value.type.isScalar ? .zero : Checksum(of: plain), offset: offset))
    }
    return result
  }

  private static func append(
    _ item: IngotPlan.Metadata, _ value: StoredValue, nameOffset: inout Int, valuesStart: Int,
    to builder: inout ByteBuilder
  ) {
    builder.append(UInt64(nameOffset))
    builder.append(UInt32(item.key.utf8.count))
    nameOffset += item.key.utf8.count
    builder.append(item.value.type.rawValue)
    builder.append(value.encoding.rawValue)
    builder.append(UInt16(0))
    builder.append(UInt64(item.value.elementCount))
    let place = value.stored.isEmpty ? 0 : UInt64(valuesStart + value.offset)
    builder.append(item.value.scalarBits ?? place)
    builder.append(UInt64(value.stored.count))
    builder.append(UInt64(value.decodedBytes))
    builder.append(contentsOf: value.checksum.bytes)
    builder.appendZeros(IngotLayout.metadataEntryBytes - IngotLayout.Metadata.reserved)
  }
}

extension FrontImage {
  /// Fills in where the tensors lie, and the header.
  mutating func place(_ tensors: [IngotTensor], fileBytes: Int) {
    for (index, tensor) in tensors.enumerated() {
      let entry = IngotLayout.headerBytes + index * IngotLayout.tensorEntryBytes
      store(UInt64(tensor.byteRange.lowerBound), at: entry + IngotLayout.Tensor.dataOffset)
      store(UInt64(tensor.byteRange.count), at: entry + IngotLayout.Tensor.dataBytes)
    }
    bytes.replaceSubrange(0..<IngotLayout.magic.count, with: IngotLayout.magic)
    typealias Field = IngotLayout.Header
    store(IngotLayout.endiannessMarker, at: Field.endianness)
    store(IngotLayout.majorVersion, at: Field.major)
    store(IngotLayout.minorVersion, at: Field.minor)
    store(UInt32(IngotLayout.headerBytes), at: Field.headerBytes)
    store(UInt32(alignment), at: Field.dataAlignment)
    store(UInt64(fileBytes), at: Field.fileBytes)
    store(UInt64(tensorCount), at: Field.tensorCount)
    store(UInt64(metadataCount), at: Field.metadataCount)
    for (index, section) in sections.enumerated() {
      store(UInt64(section.lowerBound), at: Field.sections + 16 * index)
      store(UInt64(section.count), at: Field.sections + 16 * index + 8)
    }
    store(UInt64(dataOffset), at: Field.dataOffset)
  }

  mutating func setChecksum(_ checksum: Checksum, ofTensor index: Int) {
    let entry = IngotLayout.headerBytes + index * IngotLayout.tensorEntryBytes
    bytes.replaceSubrange(
      entry + IngotLayout.Tensor.checksum..<entry + IngotLayout.Tensor.reserved,
      with: checksum.bytes)
  }

  /// The 128 bytes of one tensor's entry.
  func entry(ofTensor index: Int) -> [UInt8] {
    let start = IngotLayout.headerBytes + index * IngotLayout.tensorEntryBytes
    return Array(bytes[start..<start + IngotLayout.tensorEntryBytes])
  }

  /// Puts another value of the same stored length in the place of metadata value `index`.
  mutating func replaceValue(_ index: Int, with value: IngotMetadataValue) -> Bool {
    let metadata = sections[IngotLayout.Section.metadata.rawValue]
    let entry = metadata.lowerBound + index * IngotLayout.metadataEntryBytes
    let encoded = value.encoded()
    guard bytes[entry + IngotLayout.Metadata.type] == value.type.rawValue,
      bytes[entry + IngotLayout.Metadata.encoding] == IngotMetadataEncoding.plain.rawValue,
      load(at: entry + IngotLayout.Metadata.elementCount) == UInt64(value.elementCount),
      load(at: entry + IngotLayout.Metadata.storedBytes) == UInt64(encoded.count)
    else { return false }
    if let bits = value.scalarBits {
      store(bits, at: entry + IngotLayout.Metadata.value)
      return true
    }
    let start = Int(load(at: entry + IngotLayout.Metadata.value))
    bytes.replaceSubrange(start..<start + encoded.count, with: encoded)
    let field = entry + IngotLayout.Metadata.checksum
    bytes.replaceSubrange(
      field..<field + Checksum.byteCount, with: Checksum(of: encoded).bytes)
    return true
  }

  /// Computes and stores the checksum over header and directory; the last step.
  mutating func seal() {
    let checksum = bytes.withUnsafeBytes {
      DirectoryChecksum.of($0, end: sections[IngotLayout.Section.values.rawValue].lowerBound)
    }
    let field = IngotLayout.Header.directoryChecksum
    bytes.replaceSubrange(field..<field + Checksum.byteCount, with: checksum.bytes)
  }

  /// The stored checksum; meaningful after `seal`.
  var directoryChecksum: Checksum {
    bytes.withUnsafeBytes {
      Checksum(bytes: UnsafeRawBufferPointer(rebasing: $0[IngotLayout.Header.directoryChecksum...]))
    }
  }

  private mutating func store(_ value: some FixedWidthInteger, at offset: Int) {
    withUnsafeBytes(of: value.littleEndian) {
      bytes.replaceSubrange(offset..<offset + $0.count, with: $0)
    }
  }

  private func load(at offset: Int) -> UInt64 {
    bytes.withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
  }
}

/// The checksum over header and directory: bytes 0…223, then 256 to the start of the values.
enum DirectoryChecksum {
  static func of(_ front: UnsafeRawBufferPointer, end: Int) -> Checksum {
    var hasher = Checksum.Hasher()
    hasher.update(
      UnsafeRawBufferPointer(rebasing: front[..<IngotLayout.Header.directoryChecksum]))
    hasher.update(UnsafeRawBufferPointer(rebasing: front[IngotLayout.headerBytes..<end]))
    return hasher.finish()
  }
}
