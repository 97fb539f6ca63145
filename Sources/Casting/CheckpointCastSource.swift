package import Architecture
package import Bytes
package import Checkpoints
internal import Tokenization

/// A Hugging Face checkpoint folder as the source of a cast.
package struct CheckpointCastSource: CastSource {
  package let checkpoint: Checkpoint
  package let tensors: [SourceTensor]
  package let attachments: CastAttachments

  package var path: String { checkpoint.path }
  package var configuration: ModelConfiguration { checkpoint.configuration }

  /// - Throws: what reading the tokenizer files throws, where there are any.
  package init(_ checkpoint: Checkpoint) throws(IngotError) {
    self.checkpoint = checkpoint
    tensors = checkpoint.tensors.map {
      SourceTensor(name: $0.name, shape: $0.shape, type: $0.type, byteCount: $0.byteCount)
    }
    let tokenizer = try TokenizerDefinition.load(folder: checkpoint.path)
    attachments = CastAttachments(
      configurationFile: checkpoint.configurationBytes,
      generationConfigurationFile: checkpoint.generationBytes,
      tokenizer: try tokenizer?.encodedBlob(), chatTemplate: tokenizer?.chatTemplateSource)
  }

  package var parts: [SourcePart] {
    zip(checkpoint.weights.names, checkpoint.shards).map {
      SourcePart(name: $0, byteCount: $1.byteCount, checksum: nil)
    }
  }

  package func part(ofTensor index: Int) -> Int { checkpoint.tensors[index].shard }

  package func read(
    tensor index: Int, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(IngotError) {
    try checkpoint.tensors[index].read(at: offset, into: buffer)
  }

  package func read(
    part index: Int, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(IngotError) {
    try checkpoint.shards[index].read(at: offset, into: buffer)
  }
}
