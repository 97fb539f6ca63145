import Bytes
import Foundation
import IngotFormat
import TestSupport
import Testing

/// A file of 200,000 tensors opens with constant work for each.
@Suite struct ManyTensorsTests {
  @Test func opensAndFindsEveryTensor() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("many.ingot")
    let count = 200_000
    let plan = try IngotPlan(
      metadata: Sample.configuration.ingotMetadata,
      tensors: (0..<count).map {
        .init(
          name: "model.layers.\($0 * 7919 % count).weight", shape: [0, 4], storage: .dense(.float32)
        )
      })
    try Sample.write(plan, to: path, data: [])
    let start = ContinuousClock.now
    let file = try IngotFile.open(path)
    print("200,000 tensors: opened in \(ContinuousClock.now - start)")
    #expect(file.tensors.count == count)
    for index in stride(from: 0, to: count, by: 997) {
      #expect(file.tensor(named: file.tensors[index].name) == file.tensors[index])
    }
    #expect(file.tensor(named: "model.layers.200000.weight") == nil)
  }
}
