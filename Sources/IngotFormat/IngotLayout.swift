/// Every offset and limit of the `.ingot` format, version 1, as `formats/ingot.md` gives them.
package enum IngotLayout {
  /// High bit and CR LF: a transfer that strips bits or converts line ends destroys it visibly.
  package static let magic: [UInt8] = [0x89, 0x49, 0x4E, 0x47, 0x4F, 0x54, 0x0D, 0x0A]
  /// What an unfinished temporary starts with instead.
  package static let partialMagic: [UInt8] = [0x89, 0x49, 0x4E, 0x47, 0x4F, 0x54, 0x7E, 0x0A]
  /// Stored little-endian: the bytes 04 03 02 01.
  package static let endiannessMarker: UInt32 = 0x0102_0304
  package static let majorVersion: UInt16 = 1
  package static let minorVersion: UInt16 = 0
  /// Bits of required features that this reader knows.
  package static let knownFeatures: UInt64 = 0

  package static let headerBytes = 256
  package static let tensorEntryBytes = 128
  package static let metadataEntryBytes = 96
  /// Sections of the front matter and metadata values start on this boundary.
  package static let sectionAlignment = 64
  /// Tensor data alignment that this writer uses, and the bounds a reader accepts.
  package static let pageBytes = 4096
  package static let pageLimit = 1 << 20

  /// Offsets in the header.
  package enum Header {
    package static let endianness = 8
    package static let major = 12
    package static let minor = 14
    package static let headerBytes = 16
    package static let dataAlignment = 20
    package static let requiredFeatures = 24
    package static let optionalFeatures = 32
    package static let fileBytes = 40
    package static let tensorCount = 48
    package static let metadataCount = 56
    /// Five pairs of (offset, length): tensors, name order, names, metadata, values.
    package static let sections = 64
    package static let dataOffset = 144
    package static let reserved = 152
    package static let directoryChecksum = 224
  }

  /// The sections of the front matter, in file order.
  package enum Section: Int, CaseIterable, Sendable {
    case tensors
    case nameOrder
    case names
    case metadata
    case values
  }

  /// Offsets in a tensor entry.
  package enum Tensor {
    package static let nameOffset = 0
    package static let nameBytes = 8
    package static let storage = 12
    package static let code = 13
    package static let groupSize = 14
    package static let rank = 16
    package static let exactRowType = 17
    package static let reserved16 = 18
    package static let exactRowCount = 20
    package static let shape = 24
    package static let dataOffset = 56
    package static let dataBytes = 64
    package static let flags = 72
    package static let checksum = 80
    package static let reserved = 112
  }

  /// Offsets in a metadata entry.
  package enum Metadata {
    package static let keyOffset = 0
    package static let keyBytes = 8
    package static let type = 12
    package static let encoding = 13
    package static let reserved16 = 14
    package static let elementCount = 16
    /// The value itself (scalars) or its offset from the start of the file.
    package static let value = 24
    package static let storedBytes = 32
    package static let decodedBytes = 40
    package static let checksum = 48
    package static let reserved = 80
  }

  package enum Limits {
    package static let tensorCount = 1 << 24
    package static let metadataCount = 1 << 16
    package static let rank = 4
    package static let dimension = 1 << 40
    package static let tensorNameBytes = 4096
    package static let metadataKeyBytes = 255
    package static let exactRows = 1 << 16
    /// One metadata value, decoded.
    package static let valueBytes = 1 << 28
    package static let fileBytes = 1 << 60
  }

  package static func aligned(_ offset: Int, to alignment: Int) -> Int {
    (offset + alignment - 1) / alignment * alignment
  }
}
