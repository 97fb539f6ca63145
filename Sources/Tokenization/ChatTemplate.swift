public import Bytes

/// How a conversation becomes the text that the model was trained on.
///
/// Templates in checkpoints are Jinja programs from strangers; they are never run. A template is
/// recognised by what it says, and what it does is written here.
public enum ChatTemplate: String, Sendable, Hashable, CaseIterable {
  /// `<|im_start|>role\ncontent<|im_end|>\n` for each message.
  case chatML = "chatml"
  /// Qwen3's own: ChatML, but thoughts (`<think>…</think>`) of answers before the last question are
  /// left out, later answers have a thought even when it is empty, and tool results are the user's.
  case qwen3

  /// One turn of a conversation.
  public struct Message: Sendable, Hashable {
    /// `system`, `user`, `assistant` or `tool`.
    public var role: String
    public var content: String

    public init(role: String, content: String) {
      self.role = role
      self.content = content
    }
  }

  /// Recognises a template by its Jinja text, whatever its white space, quotes and comments.
  ///
  /// - Throws: `chatTemplate.unrecognised`.
  public init(recognizing source: String) throws(IngotError) {
    let digest = CanonicalTemplate(source)?.digest
    guard let digest, let template = Self.known[digest] else {
      // The number is what `known` would need to have.
      let fingerprint = digest.map { "fingerprint 0x" + String($0, radix: 16, uppercase: true) }
      throw IngotError(
        "chatTemplate.unrecognised",
        "the chat template (\(fingerprint ?? "not well-formed Jinja")) is not one that this program "
          + "knows: ChatML, Qwen3",
        advice: "Use --raw to feed text as it is, with the marks of your template in it.")
    }
    self = template
  }

  /// The template of a checkpoint: the one its files name, else ChatML when the vocabulary has
  /// ChatML's marks and ReFusion's mask.
  ///
  /// - Throws: `chatTemplate.unrecognised`, or `chatTemplate.missing` when there is no template and
  ///   no reason to assume one.
  public init(source: String?, tokenizer: Tokenizer) throws(IngotError) {
    if let source {
      try self.init(recognizing: source)
      return
    }
    let marks = ["<|im_start|>", "<|im_end|>", "<|mask|>"]
    guard marks.allSatisfy({ tokenizer.id(ofAddedToken: $0) != nil }) else {
      throw IngotError(
        "chatTemplate.missing", "the model has no chat template",
        advice: "Use --raw to feed text as it is.")
    }
    self = .chatML
  }

  /// The text of a conversation, and the beginning of the assistant's next turn if asked for.
  public func render(_ messages: [Message], addGenerationPrompt: Bool = true) -> String {
    var output: [UInt8] = []
    switch self {
    case .chatML:
      for message in messages {
        output += Self.turn(message.role, Array(message.content.utf8))
      }
    case .qwen3: Qwen3Template.append(messages, to: &output)
    }
    if addGenerationPrompt { output += Array("<|im_start|>assistant\n".utf8) }
    return String(decoding: output, as: UTF8.self)
  }

  /// The usual prompt: one question, and the beginning of the answer.
  public func prompt(_ question: String) -> String {
    render([Message(role: "user", content: question)])
  }

  static func turn(_ role: String, _ content: [UInt8]) -> [UInt8] {
    Array("<|im_start|>\(role)\n".utf8) + content + Array("<|im_end|>\n".utf8)
  }
}

// MARK: What is known

extension ChatTemplate {
  /// By digest of the canonical form (`CanonicalTemplate`).
  private static let known: [UInt64: ChatTemplate] = {
    var known: [UInt64: ChatTemplate] = [
      // Qwen3 of April 2025, as in Qwen/Qwen3-8B and the ReFusion checkpoint.
      0xC864_1093_FB1F_FFBF: .qwen3,
      // Its revision of July 2025, which also takes contents that are not text.
      0x164F_0D9D_0B1A_F240: .qwen3,
    ]
    for source in chatMLSources {
      if let canonical = CanonicalTemplate(source) { known[canonical.digest] = .chatML }
    }
    return known
  }()

  /// ChatML as it is usually written, with and without a default for `add_generation_prompt`.
  private static let chatMLSources: [String] = {
    let turns =
      "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content "
      + "+ '<|im_end|>\\n' }}{% endfor %}"
    let prompt = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    let fallback =
      "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}"
      + "{% endif %}"
    return [turns + prompt, fallback + turns + prompt]
  }()
}
