public import Bytes

/// A file that went into an `.ingot` file.
public struct IngotSource: Sendable, Hashable {
  /// Its name without folders.
  public let name: String
  public let byteCount: Int
  public let checksum: Checksum

  public init(name: String, byteCount: Int, checksum: Checksum) {
    self.name = name
    self.byteCount = byteCount
    self.checksum = checksum
  }
}

extension IngotFile {
  var metadataView: IngotMetadataView {
    IngotMetadataView(entries: metadataEntries, mapping: mapping)
  }

  /// The keys of all metadata values, ascending.
  public var metadataKeys: [String] { metadataEntries.map(\.key) }

  /// The decoded bytes a value takes, known without reading it; nil when there is none.
  public func metadataByteCount(_ key: String) -> Int? { metadataView.entry(key)?.decodedBytes }

  /// The value of a key, decoded and compared with its checksum; nil when there is none.
  ///
  /// - Throws: `ingot.valueChecksum`, `ingot.metadata` or `zstd.corrupt` when it is damaged.
  public func metadata(_ key: String) throws(IngotError) -> IngotMetadataValue? {
    try metadataView.value(key)
  }

  /// A string value; nil when there is none.
  ///
  /// - Throws: also `ingot.metadata` when the value has another type.
  public func string(_ key: String) throws(IngotError) -> String? {
    guard let value = try metadata(key) else { return nil }
    guard case .string(let text) = value else { throw wrongType(key, "a string") }
    return text
  }

  /// A blob; nil when there is none.
  public func blob(_ key: String) throws(IngotError) -> [UInt8]? {
    guard let value = try metadata(key) else { return nil }
    guard case .bytes(let bytes) = value else { throw wrongType(key, "a blob") }
    return bytes
  }

  /// The stored bytes of an uncompressed blob in the mapping, 64-byte aligned and not verified;
  /// nil when there is none. Valid while the file is alive.
  ///
  /// - Throws: `ingot.metadata` when it is not a plain blob.
  package func mappedBlob(_ key: String) throws(IngotError) -> UnsafeRawBufferPointer? {
    guard let entry = metadataView.entry(key) else { return nil }
    guard entry.type == .bytes, entry.encoding == .plain else {
      throw wrongType(key, "an uncompressed blob")
    }
    return UnsafeRawBufferPointer(rebasing: mapping.bytes[entry.range])
  }

  /// The tokenizer, laid out by `formats/tokenizer.md`, ready in the mapping; nil without one.
  package func tokenizerBlob() throws(IngotError) -> UnsafeRawBufferPointer? {
    try mappedBlob(IngotKey.tokenizer)
  }

  /// A copy of the tokenizer, for `Tokenizer.init(blob:)`; nil for a file converted without one.
  public func tokenizerBytes() throws(IngotError) -> [UInt8]? {
    try tokenizerBlob().map { Array($0) }
  }

  /// `config.json` of the source, byte for byte.
  public func configurationFile() throws(IngotError) -> [UInt8]? {
    try blob(IngotKey.configuration)
  }

  /// `generation_config.json` of the source, byte for byte.
  public func generationConfigurationFile() throws(IngotError) -> [UInt8]? {
    try blob(IngotKey.generationConfiguration)
  }

  /// The chat template's Jinja source, for `ChatTemplate.init(source:tokenizer:)`.
  public func chatTemplate() throws(IngotError) -> String? { try string(IngotKey.chatTemplate) }

  /// The text of the quantization recipe; nil for a file that was only converted.
  public func recipe() throws(IngotError) -> String? { try string(IngotKey.recipe) }

  /// The program that wrote the file.
  public func toolVersion() throws(IngotError) -> String? { try string(IngotKey.tool) }

  /// The files this one was made from.
  public func sources() throws(IngotError) -> [IngotSource] {
    guard let names = try metadata(IngotKey.sourceNames) else { return [] }
    guard case .stringArray(let names) = names,
      case .unsignedArray(let sizes) = try metadata(IngotKey.sourceSizes),
      case .bytes(let checksums) = try metadata(IngotKey.sourceChecksums),
      sizes.count == names.count, checksums.count == names.count * Checksum.byteCount
    else { throw wrongType("source.*", "lists of one length") }
    var result: [IngotSource] = []
    for (index, name) in names.enumerated() {
      guard let size = Int(exactly: sizes[index]) else {
        throw wrongType(IngotKey.sourceSizes, "a list of sizes")
      }
      let checksum = checksums.withUnsafeBytes {
        Checksum(bytes: UnsafeRawBufferPointer(rebasing: $0[(index * Checksum.byteCount)...]))
      }
      result.append(IngotSource(name: name, byteCount: size, checksum: checksum))
    }
    return result
  }

  private func wrongType(_ key: String, _ expected: String) -> IngotError {
    IngotError("ingot.metadata", "metadata value \(key) is not \(expected)", path: path)
  }
}

extension IngotSource {
  /// The three metadata values that hold the sources. Digests not known yet are zero and are
  /// replaced when the writer finishes: `IngotWriter.finish(replacing:)`.
  package static func metadata(_ sources: [IngotSource]) -> [IngotPlan.Metadata] {
    [
      IngotPlan.Metadata(IngotKey.sourceNames, .stringArray(sources.map(\.name))),
      IngotPlan.Metadata(
        IngotKey.sourceSizes, .unsignedArray(sources.map { UInt64(clamping: $0.byteCount) })),
      IngotPlan.Metadata(
        IngotKey.sourceChecksums, .bytes(sources.flatMap(\.checksum.bytes))),
    ]
  }
}
