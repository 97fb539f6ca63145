package import Architecture
package import Bytes
package import IngotFormat
internal import Tensors

/// A full-precision `.ingot` file as the source of a quantized one.
///
/// It hands on the provenance of the checkpoint it was converted from, so that quantizing the
/// checkpoint and quantizing its lossless conversion give the same bytes.
package struct IngotCastSource: CastSource {
  package let file: IngotFile
  package let tensors: [SourceTensor]
  package let parts: [SourcePart]
  package let attachments: CastAttachments

  package var path: String { file.path }
  package var configuration: ModelConfiguration { file.configuration }

  /// - Throws: `cast.quantizedSource` when any tensor is quantized already.
  package init(_ file: IngotFile) throws(IngotError) {
    self.file = file
    var tensors: [SourceTensor] = []
    for tensor in file.tensors {
      guard case .dense(let type) = tensor.storage else {
        throw IngotError(
          "cast.quantizedSource", "is quantized already (\(tensor.typeName))", path: file.path,
          tensor: tensor.name,
          advice: "Quantizing twice adds error twice: start from the checkpoint or its lossless "
            + "conversion.")
      }
      tensors.append(
        SourceTensor(
          name: tensor.name, shape: tensor.shape, type: type, byteCount: tensor.byteRange.count))
    }
    self.tensors = tensors
    parts = try file.sources().map {
      SourcePart(name: $0.name, byteCount: $0.byteCount, checksum: $0.checksum)
    }
    attachments = CastAttachments(
      configurationFile: try file.configurationFile(),
      generationConfigurationFile: try file.generationConfigurationFile(),
      tokenizer: try file.tokenizerBlob().map { [UInt8]($0) },
      chatTemplate: try file.chatTemplate())
  }

  package func part(ofTensor index: Int) -> Int { 0 }

  package func read(
    tensor index: Int, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(IngotError) {
    withBytes(ofTensor: index, offset..<offset + buffer.count) { buffer.copyMemory(from: $0) }
  }

  package func withBytes<Result, Failure: Error>(
    ofTensor index: Int, _ range: Range<Int>,
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = file.bytes(of: file.tensors[index])
    precondition(
      range.lowerBound >= 0 && range.upperBound <= bytes.count, "read outside the tensor")
    // Consumed pages go back at once, so that resident memory does not grow with the model.
    let start = file.tensors[index].byteRange.lowerBound
    defer {
      file.mapping.advise(.dontNeed, start + range.lowerBound..<start + range.upperBound)
    }
    return try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  package func hash(ofPart index: Int) -> PartHash {
    preconditionFailure("the checksums of an .ingot file's sources are known")
  }
}
