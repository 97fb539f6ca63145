import Bytes
import Dispatch
import Foundation
import Synchronization
import TestSupport
import Testing

/// Lending bytes of a file in place, window by window.
@Suite struct FileWindowsTests {
  /// A file of a little more than three windows, each of its words its own offset.
  private static let count = 3 * FileWindows.windowBytes + 4096 + 24

  private static func makeFile(_ folder: TemporaryFolder) throws -> String {
    var bytes = Data(count: count)
    bytes.withUnsafeMutableBytes { bytes in
      let words = bytes.bindMemory(to: UInt64.self)
      for index in words.indices { words[index] = UInt64(8 * index) }
    }
    let path = folder.path("numbers")
    try bytes.write(to: URL(fileURLWithPath: path))
    return path
  }

  private static func isRight(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
    stride(from: 0, to: bytes.count - 7, by: 8).allSatisfy {
      bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self) == UInt64(offset + $0)
    }
  }

  /// Ranges within a window, across windows and at the end of the file, over and over again from
  /// several threads, so that windows come and go while others look at them.
  @Test(arguments: [1, 2])
  func everyRangeHoldsItsBytes(passes: Int) throws {
    let folder = try TemporaryFolder()
    let reader = try FileReader(path: Self.makeFile(folder))
    let window = FileWindows.windowBytes
    let ranges = [
      0..<64, 8..<window, window - 64..<window + 64, 0..<3 * window, window..<2 * window,
      3 * window..<Self.count, Self.count - 8..<Self.count, 4096..<4096,
    ]
    let wrong = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 64) { index in
      let range = ranges[index % ranges.count]
      let isRight = try? reader.withMapping(of: range, passes: passes) {
        $0.count == range.count && Self.isRight($0, at: range.lowerBound)
      }
      if isRight != true { wrong.add(1, ordering: .relaxed) }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }

  /// What `body` throws comes out, and the window can be lent again.
  @Test func errorsOfTheBodyPassThrough() throws {
    let folder = try TemporaryFolder()
    let reader = try FileReader(path: Self.makeFile(folder))
    #expect(throws: IngotError.self) {
      try reader.withMapping(of: 0..<64) { (_) throws(IngotError) in
        throw IngotError("test", "fails")
      }
    }
    #expect(try reader.withMapping(of: 0..<64) { Self.isRight($0, at: 0) })
  }

  /// A file that was cut since it was opened is named, with where it ends: no signal.
  @Test func aFileThatShrankIsAnError() throws {
    let folder = try TemporaryFolder()
    let path = try Self.makeFile(folder)
    let reader = try FileReader(path: path)
    #expect(try reader.withMapping(of: 0..<64) { Self.isRight($0, at: 0) })
    #expect(truncate(path, off_t(FileWindows.windowBytes + 100)) == 0)
    let error = #expect(throws: IngotError.self) {
      try reader.withMapping(of: 0..<2 * FileWindows.windowBytes) { $0.count }
    }
    #expect(error?.code == "file.shrank")
    #expect(error?.offset == FileWindows.windowBytes + 100)
    #expect(try reader.withMapping(of: 0..<FileWindows.windowBytes) { Self.isRight($0, at: 0) })
  }

  #if os(Linux)
    /// Pages that the file still had when its length was asked may be gone when they are brought in:
    /// here because a window reaches beyond the new end. That too is an error, without a signal.
    @Test func pagesThatCannotBeBroughtInAreAnError() throws {
      let folder = try TemporaryFolder()
      let path = try Self.makeFile(folder)
      let reader = try FileReader(path: path)
      #expect(truncate(path, off_t(FileWindows.windowBytes + 100)) == 0)
      let start = FileWindows.windowBytes
      // Again and again: what could not be brought in does not count as there.
      for _ in 0..<3 {
        let error = #expect(throws: IngotError.self) {
          try reader.withMapping(of: start..<start + 64) { $0.count }
        }
        #expect(error?.code == "file.read")
        #expect(error?.offset == start)
      }
      #expect(reader.residentWindows == 0)
    }
  #endif

  /// Nothing of a whole pass stays resident, but what waits for a second one does.
  @Test func windowsGoWhenAllPassesAreThrough() throws {
    let folder = try TemporaryFolder()
    let path = try Self.makeFile(folder)
    for (passes, remaining) in [(1, 0), (2, 4)] {
      let reader = try FileReader(path: path)
      try reader.withMapping(of: 0..<Self.count, passes: passes) { _ in }
      #expect(reader.residentWindows == remaining)
      try reader.withMapping(of: 0..<Self.count, passes: passes) { _ in }
      #expect(reader.residentWindows == 0)
    }
  }
}
