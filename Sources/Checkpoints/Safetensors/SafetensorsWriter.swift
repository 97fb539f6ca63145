package import Bytes
package import Tensors

/// Writes a safetensors file: header first, then each tensor's bytes in any order and from any
/// thread; the file appears under its name only when it is complete.
///
/// The same tensors and metadata always give the same header. Data is ordered by element size,
/// large first, so that with the header padded to 8 bytes every tensor is aligned for its type.
package final class SafetensorsWriter: Sendable {
  package struct Tensor: Sendable, Hashable {
    package let name: String
    package let type: ElementType
    package let shape: [Int]

    package init(name: String, type: ElementType, shape: [Int]) {
      self.name = name
      self.type = type
      self.shape = shape
    }
  }

  private let file: AtomicFileWriter
  /// Where each tensor's data goes, by the position it was given in.
  private let ranges: [Range<Int>]

  /// Creates the file and writes its header.
  ///
  /// - Throws: `file.…`; `safetensors.overflow` when the sizes do not fit 64 bits;
  ///   `safetensors.headerTooLarge`; `safetensors.name` when a name is taken or reserved.
  package init(
    path: String, tensors: [Tensor], metadata: [(name: String, value: String)] = []
  ) throws(IngotError) {
    let layout = try Self.layout(tensors)
    var header = Self.header(tensors, layout, metadata)
    while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
    guard header.count <= SafetensorsHeader.maximumBytes else {
      throw IngotError(
        "safetensors.headerTooLarge", "the header would take \(header.count) bytes", path: path)
    }
    let dataStart = 8 + header.count
    let (total, overflow) = dataStart.addingReportingOverflow(layout.total)
    guard !overflow else { throw Self.overflow(nil) }
    ranges = layout.ranges.map { $0.lowerBound + dataStart..<$0.upperBound + dataStart }
    file = try AtomicFileWriter(path: path, count: total)
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    do throws(IngotError) {
      try file.write(length + header, at: 0)
    } catch {
      file.abandon()
      throw error
    }
  }

  /// Writes bytes of the tensor given at `index`, from `offset` of its data on.
  package func write(
    _ bytes: UnsafeRawBufferPointer, tensor index: Int, at offset: Int = 0
  ) throws(IngotError) {
    let range = ranges[index]
    precondition(
      offset >= 0 && offset <= range.count && bytes.count <= range.count - offset,
      "write outside the tensor")
    try file.write(bytes, at: range.lowerBound + offset)
  }

  /// Makes the file appear under its name.
  package func commit() throws(IngotError) { try file.commit() }

  /// Gives up; nothing is left behind.
  package func abandon() { file.abandon() }

  /// Writes a whole file of tensors that are in memory.
  package static func write(
    _ tensors: [(tensor: Tensor, bytes: [UInt8])],
    metadata: [(name: String, value: String)] = [], to path: String
  ) throws(IngotError) {
    let writer = try SafetensorsWriter(
      path: path, tensors: tensors.map(\.tensor), metadata: metadata)
    do throws(IngotError) {
      for (index, (_, bytes)) in tensors.enumerated() {
        precondition(bytes.count == writer.ranges[index].count, "the bytes do not fit the shape")
        try writer.file.write(bytes, at: writer.ranges[index].lowerBound)
      }
      try writer.commit()
    } catch {
      writer.abandon()
      throw error
    }
  }
}

extension SafetensorsWriter {
  private struct Layout {
    /// By position given, from the start of the data.
    var ranges: [Range<Int>]
    /// Positions in the order of the data.
    var order: [Int]
    var total: Int
  }

  private static func layout(_ tensors: [Tensor]) throws(IngotError) -> Layout {
    var names: Set<ExactName> = ["__metadata__"]
    for tensor in tensors where !names.insert(ExactName(tensor.name)).inserted {
      throw IngotError("safetensors.name", "the name is taken", tensor: tensor.name)
    }
    let order = tensors.indices.sorted {
      (tensors[$1].type.byteCount, $0) < (tensors[$0].type.byteCount, $1)
    }
    var layout = Layout(
      ranges: Array(repeating: 0..<0, count: tensors.count), order: order, total: 0)
    for index in order {
      let tensor = tensors[index]
      precondition(tensor.shape.allSatisfy { $0 >= 0 }, "a negative dimension")
      guard let bytes = SafetensorsHeaderParser.byteCount(tensor.shape, tensor.type) else {
        throw overflow(tensor.name)
      }
      let (end, overflow) = layout.total.addingReportingOverflow(bytes)
      guard !overflow else { throw Self.overflow(tensor.name) }
      layout.ranges[index] = layout.total..<end
      layout.total = end
    }
    return layout
  }

  private static func header(
    _ tensors: [Tensor], _ layout: Layout, _ metadata: [(name: String, value: String)]
  ) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { writer in
      if !metadata.isEmpty {
        writer.key("__metadata__")
        writer.object { writer in for (name, value) in metadata { writer.member(name, value) } }
      }
      for index in layout.order {
        writer.key(tensors[index].name)
        writer.object { writer in
          writer.member("dtype", tensors[index].type.name)
          writer.member("shape", .array(tensors[index].shape.map { .integer($0) }))
          let range = layout.ranges[index]
          writer.member("data_offsets", [.integer(range.lowerBound), .integer(range.upperBound)])
        }
      }
    }
    return writer.bytes
  }

  private static func overflow(_ name: String?) -> IngotError {
    IngotError("safetensors.overflow", "the sizes do not fit 64 bits", tensor: name)
  }
}

extension ExactName: ExpressibleByStringLiteral {
  init(stringLiteral value: String) { self.init(value) }
}
