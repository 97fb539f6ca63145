internal import Bytes

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Header, directory and names, copied out of the file once, then verified: what is decoded from
/// it cannot change behind the checks.
struct FrontMatter {
  let header: IngotHeader
  /// From the start of the file to the start of the metadata values.
  let bytes: [UInt8]

  /// Checks the header and the checksum over header and directory.
  init(_ mapping: MappedFile) throws(IngotError) {
    let headerBytes = Array(mapping.bytes.prefix(IngotLayout.headerBytes))
    let end = try Self.header(headerBytes, mapping.count).valuesStart
    bytes = Array(mapping.bytes[..<end])
    // Decoded again from the copy, should the file have changed in between.
    header = try Self.header(Array(bytes.prefix(IngotLayout.headerBytes)), mapping.count)
    guard header.valuesStart == end else {
      throw IngotError("ingot.changed", "changed while it was being opened")
    }
    let actual = bytes.withUnsafeBytes { DirectoryChecksum.of($0, end: end) }
    guard actual == header.directoryChecksum else {
      throw IngotError(
        "ingot.directoryChecksum", "header or directory are damaged: their checksum differs",
        offset: IngotLayout.Header.directoryChecksum, advice: "Copy or convert the file again.")
    }
  }

  private static func header(
    _ bytes: [UInt8], _ fileBytes: Int
  ) throws(IngotError) -> IngotHeader {
    try bytes.withRawBytes { (buffer) throws(IngotError) in
      try IngotHeader(ByteReader(buffer), actualBytes: fileBytes)
    }
  }

  /// Runs `body` on the bytes of one section.
  func withSection<Result>(
    _ section: IngotLayout.Section, _ body: (ByteReader) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    let range = header.sections[section.rawValue]
    return try bytes.withRawBytes { (buffer) throws(IngotError) in
      try body(
        ByteReader(UnsafeRawBufferPointer(rebasing: buffer[range]), baseOffset: range.lowerBound))
    }
  }
}

extension FrontMatter {
  /// Every tensor, in file order.
  func tensors() throws(IngotError) -> [IngotTensor] {
    try withSection(.tensors) { (entries) throws(IngotError) in
      try withSection(.names) { (names) throws(IngotError) in
        var decoder = IngotTensorDecoder(header: header, entries: entries, names: names)
        var result: [IngotTensor] = []
        result.reserveCapacity(header.tensorCount)
        for index in 0..<header.tensorCount { result.append(try decoder.next(index)) }
        try decoder.finish()
        return result
      }
    }
  }

  /// The permutation that sorts the names; strictly ascending, so no name appears twice.
  func nameOrder(of tensors: [IngotTensor]) throws(IngotError) -> [UInt32] {
    let places = nameRanges(of: tensors)
    return try withSection(.names) { (names) throws(IngotError) in
      try withSection(.nameOrder) { (reader) throws(IngotError) in
        var result: [UInt32] = []
        result.reserveCapacity(tensors.count)
        var last = UnsafeRawBufferPointer(start: nil, count: 0)
        for position in tensors.indices {
          let index: UInt32 = try reader.integer(at: 4 * position)
          guard index < tensors.count else {
            throw IngotError(
              "ingot.nameOrder", "the name order names tensor \(index) of \(tensors.count)",
              offset: reader.baseOffset + 4 * position)
          }
          let name = UnsafeRawBufferPointer(rebasing: names.bytes[places[Int(index)]])
          let order = Self.compare(last, name)
          guard position == 0 || order < 0 else {
            throw IngotError(
              order == 0 ? "ingot.duplicate" : "ingot.nameOrder",
              "the names are not in strictly ascending order", tensor: tensors[Int(index)].name,
              offset: reader.baseOffset + 4 * position)
          }
          last = name
          result.append(index)
        }
        return result
      }
    }
  }

  /// Where each name lies in the names section: one after the other, as was checked.
  private func nameRanges(of tensors: [IngotTensor]) -> [Range<Int>] {
    var end = 0
    return tensors.map { tensor in
      let start = end
      end += tensor.name.utf8.count
      return start..<end
    }
  }

  /// The order of two names by their bytes: negative, zero or positive.
  private static func compare(
    _ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer
  ) -> Int {
    if let first = left.baseAddress, let second = right.baseAddress {
      let order = memcmp(first, second, min(left.count, right.count))
      if order != 0 { return Int(order) }
    }
    return left.count - right.count
  }

  /// Every metadata entry, in ascending order of keys.
  func metadataEntries() throws(IngotError) -> [IngotMetadataEntry] {
    try withSection(.metadata) { (entries) throws(IngotError) in
      try withSection(.names) { (names) throws(IngotError) in
        var decoder = IngotMetadataDecoder(
          entries: entries, names: names,
          values: header.sections[IngotLayout.Section.values.rawValue],
          nameOffset: try tensorNameBytes())
        var result: [IngotMetadataEntry] = []
        for index in 0..<header.metadataCount { result.append(try decoder.next(index)) }
        try decoder.finish()
        return result
      }
    }
  }

  /// Where the keys begin: behind the names of the tensors, which were checked before.
  private func tensorNameBytes() throws(IngotError) -> Int {
    guard header.tensorCount > 0 else { return 0 }
    return try withSection(.tensors) { (entries) throws(IngotError) in
      let last = (header.tensorCount - 1) * IngotLayout.tensorEntryBytes
      let length: UInt32 = try entries.integer(at: last + IngotLayout.Tensor.nameBytes)
      return try entries.size(at: last + IngotLayout.Tensor.nameOffset) + Int(length)
    }
  }
}
