import Bytes
import Tensors

/// Turns header text into entries: first each on its own, then against one another.
struct SafetensorsHeaderParser {
  let dataStart: Int
  /// Bytes of the file behind the header.
  let dataBytes: Int
  private(set) var metadata: [(name: String, value: String)] = []
  private var entries: [SafetensorsEntry] = []

  init(dataStart: Int, dataBytes: Int) {
    self.dataStart = dataStart
    self.dataBytes = dataBytes
  }

  mutating func parse(_ bytes: [UInt8]) throws(IngotError) {
    var cursor = try JSONCursor(bytes)
    try cursor.object { (name, cursor) throws(IngotError) in
      if name == "__metadata__" {
        try parseMetadata(&cursor)
      } else {
        entries.append(try entry(name, &cursor))
      }
    }
    try cursor.end()
  }

  private mutating func parseMetadata(_ cursor: inout JSONCursor) throws(IngotError) {
    guard try cursor.peek() == .object else {
      throw IngotError(
        "safetensors.metadata", "__metadata__ is not an object", offset: cursor.offset)
    }
    try cursor.object { (name, cursor) throws(IngotError) in
      guard try cursor.peek() == .string else {
        throw IngotError(
          "safetensors.metadata", "\"\(name)\" in __metadata__ is not a string",
          offset: cursor.offset)
      }
      metadata.append((name, try cursor.string()))
    }
  }

  // MARK: One entry

  private func entry(
    _ name: String, _ cursor: inout JSONCursor
  ) throws(IngotError) -> SafetensorsEntry {
    func fault(_ code: String, _ message: String) -> IngotError {
      IngotError("safetensors.\(code)", message, tensor: name)
    }
    guard try cursor.peek() == .object else { throw fault("entry", "its entry is not an object") }
    var type: ElementType?
    var shape: [Int]?
    var offsets: [Int]?
    try cursor.object { (key, cursor) throws(IngotError) in
      switch key {
      case "dtype": type = try elementType(name, &cursor)
      case "shape": shape = try integers(name, "shape", &cursor)
      case "data_offsets": offsets = try integers(name, "offsets", &cursor)
      default: try cursor.skip()  // Upstream ignores what it does not know.
      }
    }
    guard let type else { throw fault("entry", "its entry has no dtype") }
    guard let shape else { throw fault("entry", "its entry has no shape") }
    guard let offsets else { throw fault("entry", "its entry has no data_offsets") }
    guard offsets.count == 2 else {
      throw fault("offsets", "data_offsets holds \(offsets.count) numbers instead of 2")
    }
    guard offsets[0] <= offsets[1] else {
      throw fault("offsets", "data_offsets end (\(offsets[1])) before they start (\(offsets[0]))")
    }
    guard let bytes = Self.byteCount(shape, type) else {
      throw fault("overflow", "the product of shape \(shape) and type overflows")
    }
    guard bytes == offsets[1] - offsets[0] else {
      throw fault(
        "size",
        "shape \(shape) of \(type.name) takes \(bytes) bytes, "
          + "but data_offsets span \(offsets[1] - offsets[0])")
    }
    guard offsets[1] <= dataBytes else {
      throw IngotError(
        "safetensors.truncated",
        "ends at byte \(offsets[1]) of the data, which has only \(dataBytes)", tensor: name,
        advice: "The file is cut off; download it again.")
    }
    return SafetensorsEntry(
      name: name, type: type, shape: shape,
      range: dataStart + offsets[0]..<dataStart + offsets[1])
  }

  private func elementType(
    _ name: String, _ cursor: inout JSONCursor
  ) throws(IngotError) -> ElementType {
    guard try cursor.peek() == .string else {
      throw IngotError("safetensors.entry", "its dtype is not a string", tensor: name)
    }
    let text = try cursor.string()
    guard let type = ElementType(name: text) else {
      throw IngotError(
        "safetensors.type", "its type \"\(text)\" is not one this version knows", tensor: name)
    }
    return type
  }

  /// An array of non-negative integers.
  private func integers(
    _ name: String, _ field: String, _ cursor: inout JSONCursor
  ) throws(IngotError) -> [Int] {
    let key = field == "shape" ? "shape" : "data_offsets"
    guard try cursor.peek() == .array else {
      throw IngotError("safetensors.entry", "its \(key) is not an array", tensor: name)
    }
    var values: [Int] = []
    try cursor.array { (_, cursor) throws(IngotError) in
      guard try cursor.peek() == .number, case .integer(let value) = try cursor.number(), value >= 0
      else {
        throw IngotError(
          "safetensors.\(field)", "its \(key) holds something else than integers from 0 to 2⁶³ − 1",
          tensor: name)
      }
      values.append(value)
    }
    return values
  }

  /// Bytes of a tensor; nil when a product overflows on the way, even where a later zero would
  /// save it (as upstream).
  static func byteCount(_ shape: [Int], _ type: ElementType) -> Int? {
    var product = 1
    for factor in shape + [type.byteCount] {
      let (next, overflow) = product.multipliedReportingOverflow(by: factor)
      if overflow { return nil }
      product = next
    }
    return product
  }

  // MARK: All entries together

  /// The entries in the order of their data, once every byte is known to belong to exactly one.
  func ordered() throws(IngotError) -> [SafetensorsEntry] {
    let sorted = entries.sorted {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    var end = dataStart
    var previous: SafetensorsEntry?
    for entry in sorted {
      let start = entry.range.lowerBound
      if start > end {
        throw IngotError(
          "safetensors.hole", "\(start - end) bytes before it belong to no tensor",
          tensor: entry.name, offset: end)
      }
      if start < end {
        throw IngotError(
          "safetensors.overlap", "shares bytes with tensor \(previous?.name ?? "")",
          tensor: entry.name, offset: start)
      }
      end = entry.range.upperBound
      previous = entry
    }
    guard end == dataStart + dataBytes else {
      throw IngotError(
        "safetensors.trailingData",
        "\(dataStart + dataBytes - end) bytes behind the last tensor belong to nothing",
        offset: end)
    }
    return sorted
  }
}
