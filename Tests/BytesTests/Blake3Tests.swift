import Bytes
import Testing

/// Hashes of the input of the published test vectors, the bytes 0, 1, … 250 again and again, by the
/// authors' implementation (Python package `blake3` 1.0): around the ends of blocks, chunks, groups
/// of lanes and subtrees.
@Suite struct Blake3Tests {
  @Test(arguments: [
    (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
    (63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"),
    (64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"),
    (65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"),
    (1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"),
    (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
    (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
    (2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"),
    (2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"),
    (3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"),
    (5127, "80155bfcdc40aa0d13634d590494a0b992bd79865e55ad6ef25b005746808607"),
    (17408, "993924ff3dcbd868be9cf3fed98d4538fe579ffccf390a5aa1ddba0f6a20bfed"),
    (33793, "dfa406473e24f8de7598b47d2b1a600c3feb7ad6111b5454cf5f49cc08bda053"),
    (1_048_575, "f32b849d19684c18c138cf13e29dbadc776f4bc2a56b477680ef546b39ac3f71"),
    (1_048_576, "74cb441fd087764ca9c3694da742ebe30cbeb3060a17009ca81825c7a8d10343"),
    (1_048_577, "2f053cd7472cf0cd2f9adaf45c1180255b91b9a865404a63671a0ee5f792ed33"),
    (1_049_600, "59f733f7a6508b55eb572977d6b5b344769021d8689804460bbbaad07da9688a"),
    (3_145_728, "c9e03344ea01f416e5fd2c4aa87b32f2b13e731d034be31898de3ce251926b1c"),
    (5_246_029, "8901c3e3adb2d15e0b0874fb58acdb6077ca50a699a0531a49aee544ead79ae8"),
  ])
  func knownHashes(_ count: Int, _ hash: String) {
    let bytes = (0..<count).map { UInt8($0 % 251) }
    bytes.withUnsafeBytes { bytes in
      for width in 0...Blake3.widest {
        #expect(Blake3.of(bytes, width: width).hexadecimal == hash, "width \(width)")
      }
    }
  }

  @Test func subtreesAreCounted() {
    #expect(Blake3.subtreeCount(byteCount: 0) == 0)
    #expect(Blake3.subtreeCount(byteCount: 1) == 1)
    #expect(Blake3.subtreeCount(byteCount: 1 << 20) == 1)
    #expect(Blake3.subtreeCount(byteCount: (1 << 20) + 1) == 2)
  }
}
