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
  /// How often the cast passes over mapped bytes of the checkpoint.
  private let passes: Int

  /// What the source is opened for.
  package enum Purpose: Sendable {
    /// A plan, which reads no weights.
    case planning
    /// A cast that copies weights as they are.
    case copying
    /// A cast that computes with the weights.
    case computing
  }

  package var path: String { checkpoint.path }
  package var configuration: ModelConfiguration { checkpoint.configuration }

  /// - Parameter purpose: for a cast, the provenance's digests begin while the tokenizer files
  ///   are read, and a cast that copies shares their pages.
  /// - Throws: what reading the tokenizer files throws, where there are any.
  package init(_ checkpoint: Checkpoint, for purpose: Purpose = .planning) throws(IngotError) {
    self.checkpoint = checkpoint
    let passes = purpose == .copying ? 2 : 1
    self.passes = passes
    hashes = checkpoint.shards.map { PartHash($0, passes: passes) }
    tensors = checkpoint.tensors.map {
      SourceTensor(name: $0.name, shape: $0.shape, type: $0.type, byteCount: $0.byteCount)
    }
    let attach = { () throws(IngotError) in try Self.attachments(of: checkpoint) }
    attachments = purpose == .planning ? try attach() : try PartHash.runAhead(hashes, while: attach)
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
    try checkpoint.tensors[index].withMapping(of: range, passes: passes, body)
  }

  package func hash(ofPart index: Int) -> PartHash { hashes[index] }
}
