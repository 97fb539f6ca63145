import Bytes
import Testing

@Suite struct ByteReaderTests {
  private let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 0x80, 9]

  private func code(_ body: (ByteReader) throws(IngotError) -> Void) -> String? {
    do throws(IngotError) {
      try bytes.withRawBytes { (buffer) throws(IngotError) in try body(ByteReader(buffer)) }
      return nil
    } catch {
      return error.code
    }
  }

  @Test func readsLittleEndianAtAnyAlignment() throws {
    try bytes.withRawBytes { (buffer) throws(IngotError) in
      let reader = ByteReader(buffer)
      #expect(try reader.integer(UInt16.self, at: 1) == 0x0302)
      #expect(try reader.integer(Int8.self, at: 7) == -128)
      #expect(try reader.integer(UInt32.self, at: 5) == 0x0980_0706)
      #expect(try reader.size(at: 1) == Int(bitPattern: 0x0980_0706_0504_0302))
    }
  }

  @Test func refusesWhatLiesOutside() {
    #expect(
      code { (r) throws(IngotError) in _ = try r.integer(UInt8.self, at: 9) } == "bytes.outside")
    #expect(
      code { (r) throws(IngotError) in _ = try r.integer(UInt64.self, at: 2) } == "bytes.outside")
    #expect(
      code { (r) throws(IngotError) in _ = try r.integer(UInt8.self, at: -1) } == "bytes.outside")
    #expect(
      code { (r) throws(IngotError) in _ = try r.slice(at: Int.max, count: Int.max) }
        == "bytes.outside")
    #expect(code { (r) throws(IngotError) in _ = try r.slice(at: 1, count: -1) } == "bytes.outside")
    #expect(code { (r) throws(IngotError) in _ = try r.slice(at: 9, count: 0) } == nil)
  }

  @Test func refusesNumbersFrom2To63On() {
    #expect(code { (r) throws(IngotError) in _ = try r.size(at: 0) } == "bytes.tooLarge")
  }
}
