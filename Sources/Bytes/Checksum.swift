/// A digest of SHA-256, or of BLAKE3 where a tensor's is meant: 32 bytes, written as 64 lowercase
/// hexadecimal digits.
public struct Checksum: Hashable, Sendable, CustomStringConvertible {
  // Four big-endian words keep the value trivial: no allocation, comparable as integers.
  private let words: (UInt64, UInt64, UInt64, UInt64)

  /// Bytes of a digest.
  public static let byteCount = 32
  /// 32 zero bytes: the mark for "not computed yet". No known input hashes to it.
  public static let zero = Checksum(words: (0, 0, 0, 0))

  private init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  /// The digest stored in the first 32 of `bytes`; traps when there are fewer.
  public init(bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count >= Self.byteCount, "a checksum needs 32 bytes")
    func word(_ index: Int) -> UInt64 {
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
    }
    words = (word(0), word(1), word(2), word(3))
  }

  /// Parses 64 hexadecimal digits of either case; nil for anything else.
  public init?(hexadecimal text: some StringProtocol) {
    let digits = Array(text.utf8)
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: 64, by: 2) {
      guard let high = Self.nibble(digits[index]), let low = Self.nibble(digits[index + 1]) else {
        return nil
      }
      bytes.append(high << 4 | low)
    }
    self = bytes.withUnsafeBytes { Checksum(bytes: $0) }
  }

  private static func nibble(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
  }

  /// The SHA-256 of one buffer.
  public init(of bytes: UnsafeRawBufferPointer) {
    var hasher = Hasher()
    hasher.update(bytes)
    self = hasher.finish()
  }

  /// The SHA-256 of an array.
  public init(of bytes: [UInt8]) {
    self = bytes.withUnsafeBytes { Checksum(of: $0) }
  }

  /// The 32 bytes in file order.
  public var bytes: [UInt8] {
    var result = [UInt8]()
    result.reserveCapacity(Self.byteCount)
    for word in [words.0, words.1, words.2, words.3] {
      withUnsafeBytes(of: word.bigEndian) { result.append(contentsOf: $0) }
    }
    return result
  }

  /// Writes the 32 bytes at the start of `target`; traps when it is shorter.
  public func store(in target: UnsafeMutableRawBufferPointer) {
    precondition(target.count >= Self.byteCount, "a checksum needs 32 bytes")
    target.storeBytes(of: words.0.bigEndian, toByteOffset: 0, as: UInt64.self)
    target.storeBytes(of: words.1.bigEndian, toByteOffset: 8, as: UInt64.self)
    target.storeBytes(of: words.2.bigEndian, toByteOffset: 16, as: UInt64.self)
    target.storeBytes(of: words.3.bigEndian, toByteOffset: 24, as: UInt64.self)
  }

  /// 64 lowercase hexadecimal digits.
  public var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(64)
    for byte in bytes {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  public var description: String { hexadecimal }

  public static func == (left: Checksum, right: Checksum) -> Bool { left.words == right.words }

  public func hash(into hasher: inout Swift.Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
    hasher.combine(words.3)
  }
}

extension Checksum {
  /// Computes a SHA-256 piece by piece.
  public struct Hasher: Sendable {
    private var state: Sha256

    public init() { state = Sha256() }

    /// - Parameter way: below `ways`.
    package init(way: Int) { state = Sha256(way: way) }

    /// Ways of this machine to compute it, the fastest last; all give the same bytes.
    package static let ways = Sha256.ways

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
      state.update(bytes)
    }

    /// The digest of everything so far; the hasher can go on.
    public func finish() -> Checksum { state.finish() }
  }
}
