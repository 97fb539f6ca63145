import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct FileReaderTests {
  @Test func readsRanges() throws {
    let folder = try TemporaryFolder()
    let reader = try FileReader(path: folder.write([1, 2, 3, 4], to: "file"))
    #expect(reader.count == 4)
    #expect(try reader.bytes(at: 1, count: 2) == [2, 3])
    #expect(try reader.bytes(at: 4, count: 0) == [])
  }

  @Test func shrunkenFileIsAnError() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write([UInt8](repeating: 1, count: 10_000), to: "file")
    let reader = try FileReader(path: path)
    try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: 5000)
    #expect { try reader.bytes(at: 0, count: 10_000) } throws: { error in
      (error as? IngotError)?.code == "file.shrank" && (error as? IngotError)?.offset == 5000
    }
  }

  @Test func absentFileAndFolderAreErrors() throws {
    let folder = try TemporaryFolder()
    #expect { try FileReader(path: folder.path("absent")) } throws: {
      "\($0)".contains("No such file or directory")
    }
    #expect { try FileReader(path: folder.url.path) } throws: {
      ($0 as? IngotError)?.code == "file.notRegular"
    }
    #expect { try MappedFile(path: folder.url.path) } throws: {
      ($0 as? IngotError)?.code == "file.notRegular"
    }
  }

  @Test func mappingAdviceAndPrefaultKeepTheBytes() throws {
    let folder = try TemporaryFolder()
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
    let file = try MappedFile(path: folder.write(bytes, to: "file"))
    for advice in [AccessAdvice.sequential, .random, .willNeed, .dontNeed] {
      file.advise(advice, 100..<99_000)
      file.advise(advice, 0..<Int.max)
    }
    file.prefault(0..<bytes.count)
    #expect(Array(file.bytes) == bytes)
    let empty = try MappedFile(path: folder.write([], to: "empty"))
    empty.advise(.willNeed, 0..<10)
    #expect(empty.bytes.isEmpty)
  }

  @Test func identityTellsFilesApart() throws {
    let folder = try TemporaryFolder()
    let first = try FileReader(path: folder.write([1], to: "a")).identity
    let second = try FileReader(path: folder.write([1], to: "b")).identity
    #expect(first != second)
    #expect(try FileReader(path: folder.path("a")).identity == first)
    #expect(try MappedFile(path: folder.path("a")).identity == first)
  }
}
