import Bytes

/// The tokenizer files of a tiny byte-level vocabulary: 256 bytes, a few merges, and the special
/// tokens a ReFusion checkpoint has.
public struct SyntheticTokenizer: Sendable {
  public static let specialTokens = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|beginoftext|>", "<|mask|>",
  ]

  /// Pairs in the order of their rank, in the byte alphabet of GPT-2 (`Ġ` is a space).
  public static let merges = [
    "Ġ t", "h e", "i n", "Ġt he", "r e", "o n", "a n", "e r", "Ġ a", "o u", "i s", "Ġ w", "a t",
    "in g", "Ġ s", "e s", "Ġa n", "Ġan d", "o r", "l l", "Ġ c", "Ġ f", "e n", "Ċ Ċ",
  ]

  /// Tokens of the vocabulary, special ones included.
  public static var vocabularySize: Int { 256 + merges.count + specialTokens.count }

  /// The id of a special token; traps when there is none of that name.
  public static func id(of special: String) -> Int {
    guard let index = specialTokens.firstIndex(of: special) else {
      preconditionFailure("\(special) is not a special token")
    }
    return 256 + merges.count + index
  }

  /// The printable character that stands for a byte: itself where it is printable, else U+0100
  /// and up (`bytes_to_unicode` of GPT-2).
  static func character(for byte: UInt8) -> String {
    var next: UInt32 = 0x100
    for other in UInt8.min...byte {
      let isPrintable =
        (0x21...0x7E).contains(other) || (0xA1...0xAC).contains(other)
        || (0xAE...0xFF).contains(other)
      if other == byte {
        let value = isPrintable ? UInt32(byte) : next
        return Unicode.Scalar(value).map { String(Character($0)) } ?? ""
      }
      if !isPrintable { next += 1 }
    }
    return ""
  }

  /// The files by name: `vocab.json`, `merges.txt`, `added_tokens.json`, `tokenizer_config.json`
  /// and `chat_template.jinja`.
  package static var files: [(name: String, bytes: [UInt8])] {
    var vocabulary = JSONObject()
    for byte in UInt8.min...UInt8.max {
      vocabulary.append(character(for: byte), .integer(Int(byte)))
    }
    for (rank, merge) in merges.enumerated() {
      vocabulary.append(merge.split(separator: " ").joined(), .integer(256 + rank))
    }
    var added = JSONObject()
    var decoder = JSONObject()
    for token in specialTokens {
      added.append(token, .integer(id(of: token)))
      decoder.append(
        String(id(of: token)),
        [
          "content": .string(token), "lstrip": false, "normalized": false, "rstrip": false,
          "single_word": false, "special": true,
        ])
    }
    let config: JSONValue = [
      "added_tokens_decoder": .object(decoder), "add_prefix_space": false,
      "clean_up_tokenization_spaces": false, "eos_token": "<|im_end|>",
      "pad_token": "<|endoftext|>", "model_max_length": 4096, "tokenizer_class": "Qwen2Tokenizer",
      "errors": "replace",
    ]
    let template = """
      {%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\\n' + \
      message['content'] + '<|im_end|>\\n' }}{%- endfor %}\
      {%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
      """
    return [
      ("vocab.json", JSONValue.object(vocabulary).serialized()),
      ("merges.txt", Array((["#version: 0.2"] + merges + [""]).joined(separator: "\n").utf8)),
      ("added_tokens.json", JSONValue.object(added).serialized(.pretty)),
      ("tokenizer_config.json", config.serialized(.pretty)),
      ("chat_template.jinja", Array(template.utf8)),
    ]
  }
}
