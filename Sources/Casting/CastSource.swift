package import Architecture
package import Bytes
internal import IngotFormat
package import Tensors

/// One tensor to be cast, as its source stores it.
package struct SourceTensor: Sendable, Hashable {
  package let name: String
  package let shape: [Int]
  package let type: ElementType
  package let byteCount: Int
}

/// Full-precision weights to be cast: a checkpoint folder, or an `.ingot` file made from one.
package protocol CastSource: Sendable {
  /// As the user named it, for messages.
  var path: String { get }
  var configuration: ModelConfiguration { get }
  /// The model's tensors in the order the forward pass uses them.
  var tensors: [SourceTensor] { get }
  /// Files the weights came from. A checksum that is not known yet is found by hashing the part.
  var parts: [SourcePart] { get }
  /// The part that holds a tensor, where reading one after the other helps the disk.
  func part(ofTensor index: Int) -> Int
  /// Fills `buffer` with bytes of a tensor from `offset` on. Called from any thread.
  func read(
    tensor index: Int, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(IngotError)
  /// Lends bytes of a tensor where they are, for a use that only passes over them: they may lie at
  /// any address. Called from any thread.
  func withBytes<Result>(
    ofTensor index: Int, _ range: Range<Int>,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result
  /// The hash of a part whose checksum is not known.
  func hash(ofPart index: Int) -> PartHash
  /// Everything else that goes into the file: configuration files, tokenizer, chat template.
  var attachments: CastAttachments { get }
}

/// One file weights came from.
package struct SourcePart: Sendable, Hashable {
  package let name: String
  package let byteCount: Int
  package let checksum: Checksum?
}

/// What a cast file carries beside tensors.
package struct CastAttachments: Sendable {
  package var configurationFile: [UInt8]?
  package var generationConfigurationFile: [UInt8]?
  package var tokenizer: [UInt8]?
  package var chatTemplate: String?

  package init(
    configurationFile: [UInt8]? = nil, generationConfigurationFile: [UInt8]? = nil,
    tokenizer: [UInt8]? = nil, chatTemplate: String? = nil
  ) {
    self.configurationFile = configurationFile
    self.generationConfigurationFile = generationConfigurationFile
    self.tokenizer = tokenizer
    self.chatTemplate = chatTemplate
  }

  var metadata: [IngotPlan.Metadata] {
    var items: [IngotPlan.Metadata] = []
    if let configurationFile {
      items.append(.init(IngotKey.configuration, .bytes(configurationFile)))
    }
    if let generationConfigurationFile {
      items.append(.init(IngotKey.generationConfiguration, .bytes(generationConfigurationFile)))
    }
    if let tokenizer { items.append(.init(IngotKey.tokenizer, .bytes(tokenizer))) }
    if let chatTemplate { items.append(.init(IngotKey.chatTemplate, .string(chatTemplate))) }
    return items
  }
}
