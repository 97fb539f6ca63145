/// Reads the mapped form as `formats/tokenizer.md` describes it, sharing no code with the program.
struct PageReader {
  let blob: [UInt8]

  func u32(_ offset: Int) -> Int {
    (0..<4).reduce(0) { $0 | Int(blob[offset + $1]) << (8 * $1) }
  }

  private func align8(_ count: Int) -> Int { (count + 7) / 8 * 8 }

  private var tokens: Int { u32(24) }
  private var offsets: Int { 64 + 1024 }
  private var flagsStart: Int { offsets + align8(4 * (tokens + 1)) }
  private var bytesStart: Int { flagsStart + align8(tokens) }
  private var addedStart: Int { bytesStart + align8(u32(36)) }
  private var mergesStart: Int { addedStart + 16 * u32(28) + align8(u32(40)) }
  private var piecesStart: Int { mergesStart + 16 << u32(44) }

  func flags(_ id: Int) -> UInt8 { blob[flagsStart + id] }

  func bytes(of id: Int) -> [UInt8] {
    Array(blob[bytesStart + u32(offsets + 4 * id)..<bytesStart + u32(offsets + 4 * id + 4)])
  }

  static func hash(_ left: Int, _ right: Int) -> UInt64 {
    let product = (UInt64(left) << 32 | UInt64(right)) &* 0x9E37_79B9_7F4A_7C15
    return product ^ product >> 32
  }

  static func hash(_ bytes: [UInt8]) -> UInt64 {
    var hash = 0x9E37_79B9_7F4A_7C15 ^ UInt64(bytes.count)
    for start in stride(from: 0, to: bytes.count, by: 8) {
      let word = bytes[start..<min(start + 8, bytes.count)].reversed().reduce(UInt64(0)) {
        $0 << 8 | UInt64($1)
      }
      let product = (hash ^ word) &* 0xD6E8_FEB8_6659_FD93
      hash = product ^ product >> 32
    }
    return hash
  }

  func merge(_ left: Int, _ right: Int) -> (rank: Int, merged: Int)? {
    for probe in 0..<u32(52) {
      let slot = (Int(Self.hash(left, right) % (1 << u32(44))) + probe) % (1 << u32(44))
      let entry = mergesStart + 16 * slot
      if u32(entry) == 0xFFFF_FFFF { return nil }
      if u32(entry) == left, u32(entry + 4) == right {
        return (u32(entry + 8), u32(entry + 12))
      }
    }
    return nil
  }

  func piece(_ bytes: [UInt8]) -> Int? {
    let hash = Self.hash(bytes)
    for probe in 0..<u32(56) {
      let slot = (Int(hash % (1 << u32(48))) + probe) % (1 << u32(48))
      let entry = piecesStart + 8 * slot
      let id = u32(entry + 4)
      if id == 0xFFFF_FFFF { return nil }
      if u32(entry) == Int(hash >> 32), self.bytes(of: id) == bytes { return id }
    }
    return nil
  }
}
