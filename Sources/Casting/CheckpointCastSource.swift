package import Architecture
package import Bytes
package import Checkpoints
internal import Tokenization

/// A Hugging Face checkpoint folder as the source of a cast.
package struct CheckpointCastSource: CastSource {
  package let checkpoint: Checkpoint
  package let tensors: [SourceTensor]
  package let attachments: CastAttachments
  private let hashes: [PartHash]
  /// How often a cast passes over mapped bytes of the checkpoint: once for the digest, once for the
  /// tensors. Where it is more often, pages come back.
  private static let passes = 2

  package var path: String { checkpoint.path }
  package var configuration: ModelConfiguration { checkpoint.configuration }

  /// - Parameter hashesAhead: begin the provenance's digests while the tokenizer files are read;
  ///   for a cast that will run and not only be planned.
  /// - Throws: what reading the tokenizer files throws, where there are any.
  package init(_ checkpoint: Checkpoint, hashesAhead: Bool = false) throws(IngotError) {
    self.checkpoint = checkpoint
    hashes = checkpoint.shards.map { PartHash($0, passes: Self.passes) }
    tensors = checkpoint.tensors.map {
      SourceTensor(name: $0.name, shape: $0.shape, type: $0.type, byteCount: $0.byteCount)
    }
    let attach = { () throws(IngotError) in try Self.attachments(of: checkpoint) }
    attachments = hashesAhead ? try PartHash.runAhead(hashes, while: attach) : try attach()
  }

  private static func attachments(
    of checkpoint: Checkpoint
  ) throws(IngotError) -> CastAttachments {
    let tokenizer = try TokenizerDefinition.load(folder: checkpoint.path)
    return CastAttachments(
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

  package func withBytes<Result>(
    ofTensor index: Int, _ range: Range<Int>,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    try checkpoint.tensors[index].withMapping(of: range, passes: Self.passes, body)
  }

  package func hash(ofPart index: Int) -> PartHash { hashes[index] }
}
