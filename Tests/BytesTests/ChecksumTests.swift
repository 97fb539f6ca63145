import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct ChecksumTests {
  /// The examples of FIPS 180-2, appendix B.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  ])
  func knownDigests(_ text: String, _ digest: String) {
    let checksum = Checksum(of: Array(text.utf8))
    #expect(checksum.hexadecimal == digest)
    #expect(Checksum(hexadecimal: digest) == checksum)
    #expect(Checksum(hexadecimal: digest.uppercased()) == checksum)
    #expect(checksum.bytes.withUnsafeBytes { Checksum(bytes: $0) } == checksum)
    var stored = [UInt8](repeating: 0, count: 32)
    stored.withUnsafeMutableBytes { checksum.store(in: $0) }
    #expect(stored == checksum.bytes)
  }

  /// The examples of FIPS 180-2, appendix B, that take more than a block.
  @Test(arguments: 0..<Checksum.Hasher.ways)
  func knownDigestsOfManyBlocks(way: Int) {
    let twoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
    var hasher = Checksum.Hasher(way: way)
    Array(twoBlocks.utf8).withUnsafeBytes { hasher.update($0) }
    #expect(
      hasher.finish().hexadecimal
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    hasher = Checksum.Hasher(way: way)
    let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
    for _ in 0..<1000 { letters.withUnsafeBytes { hasher.update($0) } }
    #expect(
      hasher.finish().hexadecimal
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  /// Every length around one and two blocks, in one piece and in two, in every way.
  @Test func everyLengthAndWayAgrees() {
    let bytes = (0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    for count in 0...bytes.count {
      let whole = Checksum(of: Array(bytes.prefix(count)))
      for way in 0..<Checksum.Hasher.ways {
        var hasher = Checksum.Hasher(way: way)
        bytes.prefix(count / 3).withUnsafeBytes { hasher.update($0) }
        // Looking at the digest in between changes nothing.
        _ = hasher.finish()
        bytes.prefix(count).dropFirst(count / 3).withUnsafeBytes { hasher.update($0) }
        #expect(hasher.finish() == whole)
      }
    }
  }

  @Test(.enabled(if: Python.hasNumPy, "needs python3, which is absent"))
  func agreesWithPython() throws {
    let program = """
      import hashlib
      data = bytes((i * i * 31 + i * 7) & 255 for i in range(1 << 12)) * 40
      for n in range(0, len(data), 8191): print(hashlib.sha256(data[:n]).hexdigest())
      """
    let result = try Python.run(["-c", program])
    let block = (0..<1 << 12).map { UInt8(truncatingIfNeeded: $0 * $0 * 31 + $0 * 7) }
    let data = (0..<40).flatMap { _ in block }
    for (index, digest) in result.output.split(separator: "\n").enumerated() {
      #expect(Checksum(of: Array(data.prefix(index * 8191))).hexadecimal == digest)
    }
    #expect(result.status == 0)
  }

  @Test func malformedHexadecimalIsRefused() {
    #expect(Checksum(hexadecimal: "") == nil)
    #expect(Checksum(hexadecimal: String(repeating: "g", count: 64)) == nil)
    #expect(Checksum(hexadecimal: String(repeating: "0", count: 63)) == nil)
  }

  @Test func fileChecksum() throws {
    let folder = try TemporaryFolder()
    let bytes = [UInt8](repeating: 7, count: 2_500_000)
    let path = try folder.write(bytes, to: "file")
    #expect(try FileReader(path: path).checksum() == Checksum(of: bytes))
  }
}
