import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct AtomicFileWriterTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func contents(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: folder.path(name))))
  }

  @Test func appearsOnlyWhenCommitted() throws {
    try folder.write([9, 9], to: "file")
    let writer = try AtomicFileWriter(path: folder.path("file"), count: 5)
    try writer.write([4, 5], at: 3)
    try writer.write([1, 2, 3], at: 0)
    #expect(try contents("file") == [9, 9])
    #expect(folder.names.count == 2)
    try writer.commit()
    #expect(try contents("file") == [1, 2, 3, 4, 5])
    #expect(folder.names == ["file"])
  }

  @Test func abandonLeavesTheOldFile() throws {
    try folder.write([9, 9], to: "file")
    let writer = try AtomicFileWriter(path: folder.path("file"), count: 5)
    try writer.write([1], at: 0)
    writer.abandon()
    #expect(try contents("file") == [9, 9])
    #expect(folder.names == ["file"])
  }

  @Test func emptyFile() throws {
    try AtomicFileWriter.write([], to: folder.path("empty"))
    #expect(try contents("empty") == [])
  }

  @Test func secondWriterOfOneNameIsRefused() throws {
    let first = try AtomicFileWriter(path: folder.path("file"), count: 3, tag: "x")
    try first.write([1, 2, 3], at: 0)
    #expect {
      _ = try AtomicFileWriter(path: folder.path("file"), count: 3, tag: "x")
    } throws: { ($0 as? IngotError)?.code == "file.busy" }
    try first.commit()
    #expect(try contents("file") == [1, 2, 3])
  }

  @Test func continuesATemporaryOfTheSameLength() throws {
    do {
      let first = try AtomicFileWriter(
        path: folder.path("file"), count: 3, tag: "x", keepsOnInterrupt: true)
      try first.write([1, 2], at: 0)
    }
    let second = try AtomicFileWriter(
      path: folder.path("file"), count: 3, tag: "x", continuing: true)
    #expect(second.isContinuation)
    try second.write([3], at: 2)
    try second.commit()
    #expect(try contents("file") == [1, 2, 3])
  }

  @Test func startsAnewWhenNotAskedToContinue() throws {
    do {
      let first = try AtomicFileWriter(path: folder.path("file"), count: 3, tag: "x")
      try first.write([1, 2, 3], at: 0)
    }
    let second = try AtomicFileWriter(path: folder.path("file"), count: 4, tag: "x")
    #expect(!second.isContinuation)
    try second.commit()
    #expect(try contents("file") == [0, 0, 0, 0])
  }

  @Test func impossibleSizeIsRefusedAtOnceAndLeavesNothing() throws {
    #expect {
      _ = try AtomicFileWriter(path: folder.path("huge"), count: 1 << 60)
    } throws: { ($0 as? IngotError)?.code == "file.noSpace" }
    #expect(folder.names.isEmpty)
  }

  @Test func missingFolderIsAnError() throws {
    #expect {
      _ = try AtomicFileWriter(path: folder.path("no/where"), count: 1)
    } throws: { error in
      (error as? IngotError)?.code == "file.create"
        && "\(error)".contains("No such file or directory")
    }
  }

  @Test func renameOntoAFolderFailsAndKeepsTheFolder() throws {
    try FileManager.default.createDirectory(
      atPath: folder.path("taken"), withIntermediateDirectories: false)
    #expect { try AtomicFileWriter.write([1], to: folder.path("taken")) } throws: {
      ($0 as? IngotError)?.code == "file.rename"
    }
    #expect(folder.names == ["taken"])
  }

  @Test func writesFromManyThreads() async throws {
    let count = 1 << 20
    let writer = try AtomicFileWriter(path: folder.path("file"), count: count)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for piece in 0..<64 {
        group.addTask {
          let bytes = [UInt8](repeating: UInt8(piece), count: count / 64)
          try writer.write(bytes, at: piece * count / 64)
        }
      }
      try await group.waitForAll()
    }
    try writer.commit()
    let all = try contents("file")
    #expect(all.count == count)
    #expect(all.indices.allSatisfy { all[$0] == UInt8($0 / (count / 64)) })
  }
}
