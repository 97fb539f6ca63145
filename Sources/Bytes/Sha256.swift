internal import CHashes

/// SHA-256, piece by piece; its compression function is C's (`ingot_sha256.h`).
///
/// Our own for the sake of the build: swift-crypto compiles 370 files of a TLS stack for this one
/// function, where all the rest of a build has 43.
///
/// Source: FIPS 180-4, "Secure Hash Standard", sections 5.1.1 (padding), 5.3.3 (initial value) and
/// 6.2.2. Tested against its examples and Python's `hashlib`.
struct Sha256: Sendable {
  private var state: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
    0x5be0_cd19
  )
  /// Bytes taken so far.
  private var count: UInt64 = 0
  /// The bytes since the last whole block.
  private var rest: [UInt8] = []
  private let way: Int32

  /// Ways of this machine to compute it; all give the same bytes.
  static let ways = Int(ingot_sha256_ways())
  private static let blockBytes = Int(INGOT_SHA256_BLOCK)

  /// - Parameter way: below `ways`; the fastest if nil.
  init(way: Int? = nil) {
    self.way = Int32(way ?? Self.ways - 1)
    rest.reserveCapacity(2 * Self.blockBytes)
  }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    count += UInt64(bytes.count)
    var bytes = bytes[...]
    if !rest.isEmpty {
      let missing = bytes.prefix(Self.blockBytes - rest.count)
      rest.append(contentsOf: missing)
      bytes = bytes.dropFirst(missing.count)
      guard rest.count == Self.blockBytes else { return }
      let block = rest
      block.withUnsafeBytes { compress($0) }
      rest.removeAll(keepingCapacity: true)
    }
    let whole = bytes.count - bytes.count % Self.blockBytes
    compress(UnsafeRawBufferPointer(rebasing: bytes.prefix(whole)))
    rest.append(contentsOf: bytes.dropFirst(whole))
  }

  /// The digest of everything so far; more can follow.
  func finish() -> Checksum {
    var last = self
    // A one bit, zeros, and the length in bits: together whole blocks.
    var padding: [UInt8] = [0x80]
    let used = (rest.count + 1 + MemoryLayout<UInt64>.size) % Self.blockBytes
    padding += Array(repeating: 0, count: (Self.blockBytes - used) % Self.blockBytes)
    withUnsafeBytes(of: (count &* 8).bigEndian) { padding.append(contentsOf: $0) }
    padding.withUnsafeBytes { last.update($0) }
    return last.digest
  }

  private mutating func compress(_ blocks: UnsafeRawBufferPointer) {
    guard let first = blocks.bindMemory(to: UInt8.self).baseAddress else { return }
    let count = blocks.count / Self.blockBytes
    withUnsafeMutableBytes(of: &state) { state in
      // Safe: the tuple is eight words in a row, and C's for the time of the call.
      guard let words = state.bindMemory(to: UInt32.self).baseAddress else { return }
      ingot_sha256_blocks(way, words, first, count)
    }
  }

  private var digest: Checksum {
    withUnsafeBytes(of: state) { state in
      let words = state.bindMemory(to: UInt32.self).map(\.bigEndian)
      return words.withUnsafeBytes { Checksum(bytes: $0) }
    }
  }
}
