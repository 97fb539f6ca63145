import Architecture
import Bytes
import Checkpoints
import Tensors
import TestSupport
import Testing

@Suite struct TensorMatchTests {
  private typealias Named = (tensor: SafetensorsWriter.Tensor, bytes: [UInt8])

  /// The code of the error that opening gives when the tensors are changed.
  private func code(
    _ synthetic: SyntheticCheckpoint = SyntheticCheckpoint(hasTokenizer: false),
    _ change: (inout [Named]) -> Void
  ) throws -> String? {
    let folder = try synthetic.write()
    var tensors = synthetic.tensors()
    change(&tensors)
    try SafetensorsWriter.write(tensors, to: folder.path("model.safetensors"))
    return CheckpointsTests.code { _ = try Checkpoint(path: folder.url.path) }
  }

  private func tensor(_ name: String, like other: Named) -> Named {
    (.init(name: name, type: other.tensor.type, shape: other.tensor.shape), other.bytes)
  }

  @Test(arguments: [false, true], [false, true])
  func acceptsEveryVariant(tied: Bool, bias: Bool) throws {
    let configuration = SyntheticCheckpoint.configuration(tied: tied, bias: bias)
    let synthetic = SyntheticCheckpoint(configuration, hasTokenizer: false)
    #expect(try code(synthetic) { _ in } == nil)
    // 11 tensors a layer, 4 biases where there are any.
    #expect(synthetic.tensors().count == 2 * (bias ? 15 : 11) + (tied ? 2 : 3))
  }

  @Test func acceptsMixedTypes() throws {
    #expect(
      try code { tensors in
        let norm = tensors.firstIndex { $0.tensor.name == "model.norm.weight" } ?? 0
        tensors[norm] = (
          .init(name: "model.norm.weight", type: .float32, shape: [128]),
          [UInt8](repeating: 0, count: 512)
        )
      } == nil)
  }

  @Test func refusesWrongTensors() throws {
    #expect(try code { $0.removeFirst() } == "checkpoint.missingTensor")
    #expect(try code { $0.remove(at: 5) } == "checkpoint.missingTensor")
    #expect(try code { $0.removeLast() } == "checkpoint.missingTensor")
    #expect(
      try code { $0.append(self.tensor("model.other", like: $0[1])) }
        == "checkpoint.unexpectedTensor")
    #expect(
      try code {
        $0.append(self.tensor("model.layers.0.self_attn.q_proj.bias", like: $0[1]))
      } == "checkpoint.unexpectedTensor")
    #expect(
      try code { tensors in
        tensors[1] = (
          .init(name: tensors[1].tensor.name, type: .bfloat16, shape: [64, 2]), tensors[1].bytes
        )
      } == "checkpoint.shape")
    #expect(
      try code { tensors in
        tensors[1] = (
          .init(name: tensors[1].tensor.name, type: .int16, shape: [128]), tensors[1].bytes
        )
      } == "checkpoint.type")
  }

  @Test func refusesAnotherNumberOfLayers() throws {
    #expect(
      try code { $0.append(self.tensor("model.layers.2.input_layernorm.weight", like: $0[1])) }
        == "checkpoint.layerCount")
    #expect(
      try code { $0.removeAll { $0.tensor.name.hasPrefix("model.layers.1.") } }
        == "checkpoint.layerCount")
    #expect(
      try code { $0.removeAll { $0.tensor.name.hasPrefix("model.layers.") } }
        == "checkpoint.layerCount")
  }

  @Test func aHeadBesideTiedEmbeddingsMustBeTheSame() throws {
    let synthetic = SyntheticCheckpoint(
      SyntheticCheckpoint.configuration(tied: true), hasTokenizer: false)
    let folder = try synthetic.write()
    var tensors = synthetic.tensors()
    tensors.append(tensor(ModelConfiguration.headName, like: tensors[0]))
    try SafetensorsWriter.write(tensors, to: folder.path("model.safetensors"))
    let checkpoint = try Checkpoint(path: folder.url.path)
    #expect(checkpoint.redundantHead?.name == ModelConfiguration.headName)
    #expect(checkpoint.tensor(named: ModelConfiguration.headName) == nil)

    #expect(
      try code(synthetic) { tensors in
        var head = self.tensor(ModelConfiguration.headName, like: tensors[0])
        head.bytes[head.bytes.count - 1] ^= 1
        tensors.append(head)
      } == "checkpoint.tiedHead")
    #expect(
      try code(synthetic) { $0.append(self.tensor(ModelConfiguration.headName, like: $0[1])) }
        == "checkpoint.shape")
  }

  @Test func anAbsurdConfigurationIsRefusedBeforeAnythingDependsOnIt() throws {
    for (field, value) in [
      ("num_hidden_layers", 4096), ("num_hidden_layers", 1 << 40), ("vocab_size", 1 << 22),
      ("hidden_size", 1 << 18), ("num_attention_heads", 0), ("num_key_value_heads", 0),
      ("num_key_value_heads", 3), ("head_dim", 31), ("hidden_size", -1), ("vocab_size", .max),
    ] {
      let synthetic = SyntheticCheckpoint(hasTokenizer: false)
      let folder = try synthetic.write()
      let config = try #require(synthetic.configurationJSON.object)
      var changed = JSONObject()
      for member in config {
        changed.append(member.name, member.name == field ? .integer(value) : member.value)
      }
      try folder.write(JSONValue.object(changed).serialized(), to: "config.json")
      let found = CheckpointsTests.code { _ = try Checkpoint(path: folder.url.path) }
      let expected = ["config.inconsistent", "checkpoint.layerCount", "checkpoint.shape"]
      #expect(expected.contains(found ?? "none"), "\(field) \(value): \(found ?? "none")")
    }
  }
}
