import Bytes
import Foundation
import IngotFormat
import TestSupport
import Testing

/// An interrupted writer is continued, and nothing it left is trusted without its checksum.
@Suite struct ResumeTests {
  private let folder: TemporaryFolder
  private let plan: IngotPlan
  private let data: [[UInt8]]

  init() throws {
    folder = try TemporaryFolder()
    plan = try Self.plan(template: "a")
    data = plan.tensors.enumerated().map { Sample.noise($1.byteRange.count, seed: UInt64($0)) }
  }

  private static func plan(
    template: String, inputs: [FileReader.Identity] = []
  ) throws -> IngotPlan {
    try IngotPlan(
      metadata: Sample.configuration.ingotMetadata + [
        .init(IngotKey.chatTemplate, .string(template))
      ],
      tensors: (0..<12).map {
        .init(name: "t\($0)", shape: [$0 * 40_000 + 1], storage: .dense(.int32))
      }, inputs: inputs)
  }

  private var path: String { folder.path("model.ingot") }

  private func uninterrupted() throws -> [UInt8] {
    try Sample.write(plan, to: folder.path("reference.ingot"), data: data)
    return Array(try Data(contentsOf: URL(fileURLWithPath: folder.path("reference.ingot"))))
  }

  @Test("ING-091", arguments: 0..<8) func continuesAfterAnyPrefixOfWrites(_ seed: UInt64) throws {
    let reference = try uninterrupted()
    var random = SplitMix(seed: seed)
    var rounds = 0
    while true {
      rounds += 1
      // Once in a while without a limit, so that the loop ends.
      let budget = rounds > 6 ? Int.max : Int.random(in: 0..<40, using: &random)
      if try writeSome(budget, &random) { break }
      #expect(throws: IngotError.self) { try IngotFile.open(path) }
    }
    #expect(Array(try Data(contentsOf: URL(fileURLWithPath: path))) == reference)
    #expect(folder.names == ["model.ingot", "reference.ingot"])
  }

  /// Writes up to `budget` pieces in random order, then forgets the writer like a killed process.
  private func writeSome(_ budget: Int, _ random: inout SplitMix) throws -> Bool {
    let writer = try IngotWriter(
      path: path, plan: plan, resuming: true, keepsOnInterrupt: true)
    var pieces: [(Int, Range<Int>)] = []
    for (index, bytes) in data.enumerated() where !writer.isComplete(tensor: index) {
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + Int.random(in: 1...1_500_000, using: &random))
        pieces.append((index, start..<end))
        start = end
      }
    }
    pieces.shuffle(using: &random)
    for (index, range) in pieces.prefix(budget) {
      try writer.write(tensor: index, at: range.lowerBound, bytes: Array(data[index][range]))
    }
    guard budget >= pieces.count else { return false }
    try writer.finish()
    return true
  }

  @Test func damagedLeftoversAreWrittenAgain() throws {
    let temporary: String
    do {
      let writer = try IngotWriter(path: path, plan: plan, keepsOnInterrupt: true)
      temporary = writer.temporaryPath
      for index in 0..<6 { try writer.write(tensor: index, at: 0, bytes: data[index]) }
    }
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: temporary))
    try handle.seek(toOffset: UInt64(plan.tensors[3].byteRange.lowerBound + 77))
    try handle.write(contentsOf: Data([data[3][77] ^ 1]))
    try handle.close()
    let writer = try IngotWriter(path: path, plan: plan, resuming: true)
    #expect((0..<12).map { writer.isComplete(tensor: $0) } == (0..<12).map { $0 < 6 && $0 != 3 })
    writer.abandon()
    #expect(folder.names.isEmpty)
  }

  @Test func anotherPlanStartsAnew() throws {
    do {
      let writer = try IngotWriter(path: path, plan: plan, keepsOnInterrupt: true)
      try writer.write(tensor: 0, at: 0, bytes: data[0])
    }
    let other = try Self.plan(template: "b")
    #expect(other.fileBytes == plan.fileBytes)
    let writer = try IngotWriter(path: path, plan: other, resuming: true)
    #expect(!writer.isComplete(tensor: 0))
    let input = try FileReader(path: folder.write([1], to: "input")).identity
    #expect(try Self.plan(template: "a", inputs: [input]).identity != plan.identity)
  }

  @Test func withoutResumingLeftoversAreDropped() throws {
    do {
      let writer = try IngotWriter(path: path, plan: plan, keepsOnInterrupt: true)
      try writer.write(tensor: 0, at: 0, bytes: data[0])
    }
    let writer = try IngotWriter(path: path, plan: plan)
    #expect(!writer.isComplete(tensor: 0))
  }

  /// A real SIGKILL at a random moment of a real writing process.
  @Test(arguments: 0..<4) func killedProcessLeavesNothingUnderTheName(_ seed: UInt64) async throws {
    let reference = try uninterrupted()
    let path = path
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [path = path as String, seed = seed as UInt64] in
      var random = SplitMix(seed: seed)
      let delay = UInt32.random(in: 0..<60_000, using: &random)
      Thread.detachNewThread {
        usleep(delay)
        kill(getpid(), SIGKILL)
      }
      let plan = try ResumeTests.plan(template: "a")
      while true {
        let writer = try IngotWriter(path: path, plan: plan, keepsOnInterrupt: true)
        for (index, tensor) in plan.tensors.enumerated() {
          let bytes = Sample.noise(tensor.byteRange.count, seed: UInt64(index))
          try writer.write(tensor: index, at: 0, bytes: bytes)
        }
        usleep(100_000)
      }
    }
    #expect(throws: IngotError.self) { try IngotFile.open(path) }
    var random = SplitMix(seed: seed)
    #expect(try writeSome(.max, &random))
    #expect(Array(try Data(contentsOf: URL(fileURLWithPath: path))) == reference)
  }
}
