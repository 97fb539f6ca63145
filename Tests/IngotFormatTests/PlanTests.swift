import Bytes
import IngotFormat
import TestSupport
import Testing

/// What the format cannot hold is refused before a byte is written.
@Suite struct PlanTests {
  private func code(
    metadata: [IngotPlan.Metadata] = [], tensors: [IngotPlan.Tensor] = []
  ) -> String? {
    do throws(IngotError) {
      _ = try IngotPlan(metadata: metadata, tensors: tensors)
      return nil
    } catch {
      return error.code
    }
  }

  private func dense(_ name: String, _ shape: [Int]) -> IngotPlan.Tensor {
    .init(name: name, shape: shape, storage: .dense(.float32))
  }

  @Test("ING-020, ING-028") func names() {
    #expect(code(tensors: [dense("", [1])]) == "ingot.name")
    #expect(code(tensors: [dense("a\nb", [1])]) == "ingot.name")
    #expect(code(tensors: [dense(String(repeating: "n", count: 4097), [1])]) == "ingot.name")
    #expect(code(tensors: [dense("a", [1]), dense("a", [2])]) == "ingot.duplicate")
    // One letter in two spellings: different bytes, different names.
    #expect(code(tensors: [dense("\u{E9}", [1]), dense("e\u{301}", [2])]) == nil)
  }

  @Test("ING-023, ING-025") func shapes() {
    #expect(code(tensors: [dense("a", [1, 1, 1, 1, 1])]) == "ingot.shape")
    #expect(code(tensors: [dense("a", [-1])]) == "ingot.shape")
    #expect(code(tensors: [dense("a", [1 << 40, 1 << 40])]) == "ingot.shape")
    #expect(code(tensors: [dense("a", [1 << 40, 1 << 40, 0])]) == nil)
    #expect(code(tensors: [dense("a", [])]) == nil)
  }

  @Test("ING-029") func exactRows() throws {
    let layout = try Sample.layout(.int8, group: 32, rows: 2, columns: 32)
    func tensor(_ count: Int, _ storage: IngotStorage) -> IngotPlan.Tensor {
      .init(
        name: "a", shape: [2, 32], storage: storage,
        exactRows: .init(count: count, type: .bfloat16))
    }
    #expect(code(tensors: [tensor(2, .tiled(layout))]) == nil)
    #expect(code(tensors: [tensor(3, .tiled(layout))]) == "ingot.shape")
    #expect(code(tensors: [tensor(0, .tiled(layout))]) == "ingot.shape")
    #expect(code(tensors: [tensor(1, .dense(.bfloat16))]) == "ingot.shape")
  }

  @Test("ING-040, ING-045") func metadata() {
    #expect(code(metadata: [.init("Upper", .bool(true))]) == "ingot.metadata")
    #expect(code(metadata: [.init("", .bool(true))]) == "ingot.metadata")
    #expect(
      code(metadata: [.init("a", .bool(true)), .init("a", .bool(true))]) == "ingot.duplicate")
    let large = [UInt8](repeating: 0, count: (1 << 28) + 1)
    #expect(code(metadata: [.init("a", .bytes(large))]) == "ingot.limit")
  }

  @Test("ING-013, ING-026, ING-027") func alignmentAndExactLength() throws {
    let folder = try TemporaryFolder()
    for alignment in [4096, 65536] {
      let plan = try IngotPlan(
        metadata: Sample.configuration.ingotMetadata,
        tensors: [dense("a", [5000]), dense("b", [0]), dense("c", [1])], alignment: alignment)
      let data = plan.tensors.map { [UInt8](repeating: 1, count: $0.byteRange.count) }
      try Sample.write(plan, to: folder.path("\(alignment)"), data: data)
      let file = try IngotFile.open(folder.path("\(alignment)"))
      #expect(file.mapping.count == plan.fileBytes)
      #expect(file.tensors.map(\.byteRange) == plan.tensors.map(\.byteRange))
      #expect(file.tensors.allSatisfy { $0.byteRange.lowerBound % alignment == 0 })
      #expect(file.check(threads: 2).isEmpty)
    }
  }

  @Test("ING-090") func orderOfWritingDoesNotChangeTheBytes() throws {
    let folder = try TemporaryFolder()
    let (plan, data) = try Sample.example()
    try Sample.write(plan, to: folder.path("a"), data: data)
    let writer = try IngotWriter(path: folder.path("b"), plan: plan)
    for (index, bytes) in data.enumerated().reversed() {
      for offset in bytes.indices.reversed() {
        try writer.write(tensor: index, at: offset, bytes: [bytes[offset]])
      }
    }
    try writer.finish()
    #expect(
      try FileReader(path: folder.path("a")).checksum()
        == FileReader(path: folder.path("b")).checksum())
  }
}
