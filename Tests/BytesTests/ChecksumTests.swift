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
