import Bytes
import TestSupport
import Testing
import Tokenization

/// The mapped form (`formats/tokenizer.md`); the requirement is named where one is tested.
struct BlobTests {
  private let blob: [UInt8]

  init() throws { blob = try SmallVocabulary.definition().encodedBlob() }

  private func u32(_ offset: Int, of blob: [UInt8]) -> Int {
    blob[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private func changed(_ offset: Int, _ value: UInt32) -> [UInt8] {
    var blob = blob
    for index in 0..<4 { blob[offset + index] = UInt8(value >> UInt32(8 * index) & 0xFF) }
    return blob
  }

  private func code(_ blob: [UInt8]) -> String? {
    do throws(IngotError) {
      _ = try Tokenizer(blob: blob)
      return nil
    } catch {
      return error.code
    }
  }

  /// TOK-001: the header, byte for byte.
  @Test func headerIsAsSpecified() {
    #expect(blob.prefix(8).elementsEqual("INGOTTOK".utf8))
    #expect(u32(8, of: blob) == 1)
    #expect(u32(12, of: blob) == 64)
    #expect(u32(16, of: blob) == blob.count)
    #expect(u32(20, of: blob) == 0)
    #expect(u32(24, of: blob) == 407)
    #expect(u32(28, of: blob) == 5)
    #expect(u32(32, of: blob) == 5)
    #expect(blob.count % 8 == 0)
  }

  /// TOK-071: equal definitions give equal bytes.
  @Test func writingIsReproducible() throws {
    #expect(try SmallVocabulary.definition().encodedBlob() == blob)
  }

  /// TOK-002, TOK-003: any cut, any addition and another version are refused.
  @Test func otherLengthsAndVersionsAreRefused() {
    for count in [0, 7, 8, 63, 64, 65, 1000, blob.count - 8, blob.count - 1] {
      #expect(code(Array(blob.prefix(count))) == "tokenizer.blob", "\(count) bytes")
    }
    #expect(code(blob + [0]) == "tokenizer.blob")
    #expect(code(changed(8, 2)) == "tokenizer.version")
    #expect(code(changed(0, 0)) == "tokenizer.blob")
  }

  /// TOK-003: counts out of range are refused before anything is read by them.
  @Test(arguments: stride(from: 12, to: 64, by: 4).map { $0 })
  func countsOutOfRangeAreRefused(_ offset: Int) {
    for value in [UInt32.max, 0x8000_0000, 0x7FFF_FFFF, 1 << 25] where offset != 60 {
      #expect(code(changed(offset, value)) == "tokenizer.blob", "\(value) at \(offset)")
    }
  }

  /// TOK-010 to TOK-013, TOK-030 to TOK-043: every token, merge and piece is found by a second
  /// reader, written from the page.
  @Test func tablesAreAsSpecified() throws {
    let reader = PageReader(blob: blob)
    for byte in 0..<256 {
      #expect(reader.u32(64 + 4 * byte) == byte)
      #expect(reader.bytes(of: byte) == [UInt8(byte)])
    }
    #expect(reader.bytes(of: 258) == Array(" the".utf8))
    #expect(reader.bytes(of: 402) == Array("<|mask|>".utf8))
    #expect([97, 258, 300, 402, 405].map(reader.flags) == [1, 1, 0, 7, 3])
    for (rank, merge) in SmallVocabulary.merges.enumerated() {
      let ids = [merge.0, merge.1].map { entry in
        SmallVocabulary.vocabulary.first { $0.0 == entry }?.1 ?? -1
      }
      #expect(reader.merge(ids[0], ids[1])?.rank == rank)
      #expect(reader.merge(ids[0], ids[1])?.merged == 256 + rank)
    }
    #expect(reader.merge(97, 98)?.merged == 271)
    #expect(reader.merge(98, 97) == nil)
    #expect(reader.piece(Array(" the".utf8)) == 258)
    #expect(reader.piece(Array("aaaaaaaa".utf8)) == 268)
    // "abc" is a token, but merging makes "a" and "bc" of it (TOK-042).
    #expect(reader.piece(Array("abc".utf8)) == nil)
  }

  /// The examples of the page.
  @Test func hashesAreAsSpecified() {
    #expect(PageReader.hash(32, 116) == 0x9A72_AAAD_37B2_9329)
    #expect(PageReader.hash(Array("a".utf8)) == 0xE469_B0E4_731B_A8CB)
    #expect(PageReader.hash(Array(" the".utf8)) == 0xADE8_FA6E_AF44_DB4D)
    #expect(PageReader.hash(Array("tokenizer".utf8)) == 0x67D9_EDCC_9F0A_EBCD)
  }

  /// Opens at any alignment and keeps the owner of the bytes alive.
  @Test func opensInPlaceAtAnyAlignment() throws {
    for shift in 0..<8 {
      let owner = Bytes(blob, shift: shift)
      let tokenizer = try Tokenizer(blob: owner.view, owner: owner)
      #expect(tokenizer.encode(" the<|mask|>") == [258, 402])
    }
  }

  private final class Bytes: Sendable {
    // Safe: written once here, then only read; freed with this object.
    nonisolated(unsafe) let buffer: UnsafeMutableRawBufferPointer
    let shift: Int

    init(_ bytes: [UInt8], shift: Int) {
      buffer = .allocate(byteCount: bytes.count + 8, alignment: 16)
      self.shift = shift
      UnsafeMutableRawBufferPointer(rebasing: buffer[shift...]).copyBytes(from: bytes)
    }

    var view: UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(rebasing: buffer[shift..<buffer.count - 8 + shift])
    }

    deinit { buffer.deallocate() }
  }
}
