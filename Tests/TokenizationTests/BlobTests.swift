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

  /// TOK-001, TOK-002: the header, byte for byte.
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

  /// TOK-003: equal definitions give equal bytes.
  @Test func writingIsReproducible() throws {
    #expect(try SmallVocabulary.definition().encodedBlob() == blob)
  }

  /// TOK-004: any cut, any addition and another version are refused.
  @Test func otherLengthsAndVersionsAreRefused() {
    for count in [0, 7, 8, 63, 64, 65, 1000, blob.count - 8, blob.count - 1] {
      #expect(code(Array(blob.prefix(count))) == "tokenizer.blob", "\(count) bytes")
    }
    #expect(code(blob + [0]) == "tokenizer.blob")
    #expect(code(changed(8, 2)) == "tokenizer.version")
    #expect(code(changed(0, 0)) == "tokenizer.blob")
  }

  /// TOK-005: counts out of range are refused before anything is read by them.
  @Test(arguments: stride(from: 12, to: 64, by: 4).map { $0 })
  func countsOutOfRangeAreRefused(_ offset: Int) {
    for value in [UInt32.max, 0x8000_0000, 0x7FFF_FFFF, 1 << 25] where offset != 60 {
      #expect(code(changed(offset, value)) == "tokenizer.blob", "\(value) at \(offset)")
    }
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
