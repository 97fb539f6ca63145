internal import Bytes
internal import Foundation

/// A fixed-width record in a shard file.
protocol PackedRecord {
  static var width: Int { get }
  func pack(into bytes: inout [UInt8])
  /// Nil when the bytes are not a record.
  init?(_ reader: inout RecordReader)
}

/// Reads little-endian fields of one record; the caller has checked that the record is whole.
struct RecordReader {
  private let bytes: ArraySlice<UInt8>
  private var offset: Int

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    offset = bytes.startIndex
  }

  mutating func integer<I: FixedWidthInteger>(_ type: I.Type = I.self) -> I {
    var value: I = 0
    for index in 0..<MemoryLayout<I>.size {
      value |= I(truncatingIfNeeded: bytes[offset + index]) << I(8 * index)
    }
    offset += MemoryLayout<I>.size
    return value
  }

  mutating func float() -> Float { Float(bitPattern: integer()) }
}

extension [UInt8] {
  mutating func append<I: FixedWidthInteger>(littleEndian value: I) {
    for index in 0..<MemoryLayout<I>.size {
      append(UInt8(truncatingIfNeeded: value >> I(8 * index)))
    }
  }

  mutating func append(float value: Float) { append(littleEndian: value.bitPattern) }
}

/// Records as one base64 string: a shard carries every position without becoming a huge text.
struct PackedRecords<Record: PackedRecord>: Codable {
  let records: [Record]

  init(_ records: [Record]) { self.records = records }

  init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let data = Data(base64Encoded: text), data.count.isMultiple(of: Record.width) else {
      throw Self.malformed("is not base64 of whole records")
    }
    let bytes = [UInt8](data)
    var records: [Record] = []
    records.reserveCapacity(bytes.count / Record.width)
    for start in stride(from: 0, to: bytes.count, by: Record.width) {
      var reader = RecordReader(bytes[start..<(start + Record.width)])
      guard let record = Record(&reader) else {
        throw Self.malformed("record \(start / Record.width) holds an impossible value")
      }
      records.append(record)
    }
    self.records = records
  }

  func encode(to encoder: any Encoder) throws {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(records.count * Record.width)
    for record in records { record.pack(into: &bytes) }
    var container = encoder.singleValueContainer()
    try container.encode(Data(bytes).base64EncodedString())
  }

  private static func malformed(_ message: String) -> IngotError {
    IngotError(
      "report.records", "a list of packed records \(message)",
      advice: "Run the shard again with `ingot verify --shard`.")
  }
}
