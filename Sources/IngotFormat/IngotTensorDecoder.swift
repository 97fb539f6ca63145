internal import Bytes
internal import Tensors

/// Decodes and checks tensor entries one after the other; constant work for each.
struct IngotTensorDecoder {
  private let header: IngotHeader
  private let entries: ByteReader
  private let names: ByteReader
  /// Where the next name must start in the names section.
  private var nameOffset = 0
  /// Where the data so far ends.
  private var dataEnd: Int

  private typealias Field = IngotLayout.Tensor

  init(header: IngotHeader, entries: ByteReader, names: ByteReader) {
    self.header = header
    self.entries = entries
    self.names = names
    dataEnd = header.dataOffset
  }

  /// - Throws: `ingot.name`, `ingot.reserved`, `ingot.type`, `ingot.shape`, `ingot.dataOffset`,
  ///   `ingot.dataBytes`.
  mutating func next(_ index: Int) throws(IngotError) -> IngotTensor {
    let start = index * IngotLayout.tensorEntryBytes
    let name = try name(start)
    do throws(IngotError) {
      return try tensor(named: name, start)
    } catch {
      var named = error
      named.tensor = name
      named.offset = named.offset ?? entries.baseOffset + start
      throw named
    }
  }

  /// The data must end where the file does, padding to the alignment aside.
  func finish() throws(IngotError) {
    let end = IngotLayout.aligned(dataEnd, to: header.dataAlignment)
    guard end == header.fileBytes else {
      throw IngotError(
        "ingot.length", "tensor data ends at byte \(end), but the file has \(header.fileBytes)")
    }
  }

  private mutating func name(_ start: Int) throws(IngotError) -> String {
    let offset = try entries.size(at: start + Field.nameOffset)
    let length = Int(try entries.integer(UInt32.self, at: start + Field.nameBytes))
    guard offset == nameOffset else {
      throw IngotError(
        "ingot.name", "a tensor name starts at \(offset) instead of \(nameOffset)",
        offset: entries.baseOffset + start)
    }
    let bytes = try names.slice(at: offset, count: length)
    guard length <= IngotLayout.Limits.tensorNameBytes,
      let name = String(validating: bytes, as: UTF8.self), IngotNames.isTensorName(name)
    else {
      throw IngotError(
        "ingot.name", "a tensor name is not 1…4096 bytes of UTF-8 without control characters",
        offset: names.baseOffset + offset)
    }
    nameOffset += length
    return name
  }

  private mutating func tensor(named name: String, _ start: Int) throws(IngotError) -> IngotTensor {
    guard try entries.isZero(at: start + Field.reserved16, count: 2),
      try entries.isZero(at: start + Field.flags, count: 8),
      try entries.isZero(at: start + Field.reserved, count: 16)
    else { throw IngotError("ingot.reserved", "reserved bytes or flags are not zero") }
    let shape = try shape(start)
    let storage = try storage(start, shape)
    let exactRows = try exactRows(start)
    guard let demanded = storage.byteCount(shape: shape, exactRows: exactRows) else {
      throw IngotError(
        "ingot.shape", "shape \(shape) cannot be stored as \(storage.name) with these exact rows")
    }
    let range = try dataRange(start, demanded)
    let checksum = Checksum(
      bytes: try entries.slice(at: start + Field.checksum, count: Checksum.byteCount))
    return IngotTensor(
      name: name, shape: shape, storage: storage, exactRows: exactRows, byteRange: range,
      checksum: checksum)
  }

  private func shape(_ start: Int) throws(IngotError) -> [Int] {
    let rank = Int(try entries.integer(UInt8.self, at: start + Field.rank))
    guard rank <= IngotLayout.Limits.rank else {
      throw IngotError("ingot.shape", "\(rank) dimensions; the limit is 4")
    }
    var shape: [Int] = []
    for dimension in 0..<IngotLayout.Limits.rank {
      let size = try entries.size(at: start + Field.shape + 8 * dimension)
      guard dimension < rank || size == 0 else {
        throw IngotError("ingot.reserved", "a dimension beyond the last is not zero")
      }
      guard size <= IngotLayout.Limits.dimension else {
        throw IngotError("ingot.shape", "dimension \(size) is above 2^40")
      }
      if dimension < rank { shape.append(size) }
    }
    return shape
  }

  private func storage(_ start: Int, _ shape: [Int]) throws(IngotError) -> IngotStorage {
    let kind: UInt8 = try entries.integer(at: start + Field.storage)
    let code: UInt8 = try entries.integer(at: start + Field.code)
    let groupSize: UInt16 = try entries.integer(at: start + Field.groupSize)
    switch kind {
    case 0:
      guard let type = ElementType(rawValue: code) else {
        throw IngotError("ingot.type", "element type code \(code) is not known")
      }
      guard groupSize == 0 else {
        throw IngotError("ingot.reserved", "a dense tensor has a group size")
      }
      return .dense(type)
    case 1:
      guard let kind = QuantizationScheme.Kind(rawValue: code),
        let scheme = QuantizationScheme(kind, groupSize: Int(groupSize))
      else {
        throw IngotError(
          "ingot.type", "quantization code \(code) with group size \(groupSize) is not known")
      }
      guard shape.count == 2,
        let layout = TileLayout(scheme: scheme, rows: shape[0], columns: shape[1])
      else {
        throw IngotError("ingot.shape", "shape \(shape) cannot be stored as \(scheme.name)")
      }
      return .tiled(layout)
    default:
      throw IngotError("ingot.type", "storage code \(kind) is not known")
    }
  }

  private func exactRows(_ start: Int) throws(IngotError) -> IngotExactRowsLayout? {
    let code: UInt8 = try entries.integer(at: start + Field.exactRowType)
    let count = Int(try entries.integer(UInt32.self, at: start + Field.exactRowCount))
    if code == 0 && count == 0 { return nil }
    guard let type = ElementType(rawValue: code), count > 0 else {
      throw IngotError("ingot.type", "\(count) exact rows of element type code \(code)")
    }
    return IngotExactRowsLayout(count: count, type: type)
  }

  /// Data lies in directory order, each tensor on the first page after its predecessor: nothing
  /// can overlap or hide.
  private mutating func dataRange(_ start: Int, _ demanded: Int) throws(IngotError) -> Range<Int> {
    let offset = try entries.size(at: start + Field.dataOffset)
    let length = try entries.size(at: start + Field.dataBytes)
    guard offset == IngotLayout.aligned(dataEnd, to: header.dataAlignment) else {
      throw IngotError(
        "ingot.dataOffset", "data starts at \(offset), not on the first page after byte \(dataEnd)")
    }
    guard length == demanded else {
      throw IngotError(
        "ingot.dataBytes", "has \(length) bytes; its shape and type demand \(demanded)")
    }
    guard offset <= header.fileBytes, length <= header.fileBytes - offset else {
      throw IngotError("ingot.dataBytes", "\(length) bytes from \(offset) leave the file")
    }
    dataEnd = offset + length
    return offset..<dataEnd
  }
}
