internal import Bytes

/// Looks metadata values up and decodes them, with their checksums verified.
struct IngotMetadataView {
  let entries: [IngotMetadataEntry]
  let mapping: MappedFile

  func entry(_ key: String) -> IngotMetadataEntry? {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].key.utf8.lexicographicallyPrecedes(key.utf8) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low < entries.count && entries[low].key == key ? entries[low] : nil
  }

  func value(_ key: String) throws(IngotError) -> IngotMetadataValue? {
    guard let entry = entry(key) else { return nil }
    return try value(entry)
  }

  /// - Throws: `ingot.valueChecksum`, `ingot.metadata`, `zstd.corrupt`.
  func value(_ entry: IngotMetadataEntry) throws(IngotError) -> IngotMetadataValue {
    if entry.type.isScalar {
      guard let value = IngotMetadataValue(scalar: entry.type, bits: entry.bits) else {
        throw fault(entry, "ingot.metadata", "is not a value of its type")
      }
      return value
    }
    let decoded = try decodedBytes(entry)
    guard Checksum(of: decoded) == entry.checksum else {
      throw fault(entry, "ingot.valueChecksum", "is damaged: its checksum differs")
    }
    let value = decoded.withUnsafeBytes {
      IngotMetadataValue(type: entry.type, elementCount: entry.elementCount, bytes: $0)
    }
    guard let value else {
      throw fault(entry, "ingot.metadata", "is not a value of its type")
    }
    return value
  }

  private func decodedBytes(_ entry: IngotMetadataEntry) throws(IngotError) -> [UInt8] {
    let stored = UnsafeRawBufferPointer(rebasing: mapping.bytes[entry.range])
    if entry.encoding == .plain { return Array(stored) }
    var failure: IngotError?
    let decoded = [UInt8](unsafeUninitializedCapacity: entry.decodedBytes) { buffer, used in
      do throws(IngotError) {
        let target = UnsafeMutableRawBufferPointer(buffer)
        try Zstandard.decompress(
          stored, into: UnsafeMutableRawBufferPointer(rebasing: target[..<entry.decodedBytes]))
        used = entry.decodedBytes
      } catch {
        failure = error
        used = 0
      }
    }
    if let failure { throw fault(entry, failure.code, failure.message) }
    return decoded
  }

  private func fault(
    _ entry: IngotMetadataEntry, _ code: String, _ message: String
  ) -> IngotError {
    IngotError(
      code, "metadata value \(entry.key): \(message)", path: mapping.path,
      offset: entry.type.isScalar ? nil : entry.range.lowerBound)
  }
}
