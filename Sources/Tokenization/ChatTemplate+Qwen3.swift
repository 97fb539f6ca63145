/// What Qwen3's template does with messages of a role and a text.
///
/// Works on bytes, since Jinja works on code points, while Swift's string search takes characters
/// (`</think>` before a combining mark would not be found).
enum Qwen3Template {
  private static let thinkStart = Array("<think>".utf8)
  private static let thinkEnd = Array("</think>".utf8)
  private static let newline = UInt8(ascii: "\n")

  static func append(_ messages: [ChatTemplate.Message], to output: inout [UInt8]) {
    let lastQuery = messages.lastIndex(where: isQuery) ?? messages.count - 1
    for (index, message) in messages.enumerated() {
      let content = Array(message.content.utf8)
      switch message.role {
      case "user": output += ChatTemplate.turn("user", content)
      case "system": output += ChatTemplate.turn("system", content)
      case "assistant":
        let isLast = index == messages.count - 1
        output += ChatTemplate.turn(
          "assistant", answer(content, isAfterQuery: index > lastQuery, isLast: isLast))
      case "tool":
        let follows = index > 0 && messages[index - 1].role == "tool"
        let precedes = index + 1 < messages.count && messages[index + 1].role == "tool"
        if !follows { output += Array("<|im_start|>user".utf8) }
        output += Array("\n<tool_response>\n".utf8) + content + Array("\n</tool_response>".utf8)
        if !precedes { output += Array("<|im_end|>\n".utf8) }
      default: break
      }
    }
  }

  /// A question of the user, not a tool's result in the user's name.
  private static func isQuery(_ message: ChatTemplate.Message) -> Bool {
    guard message.role == "user" else { return false }
    let content = Array(message.content.utf8)
    let end = Array("</tool_response>".utf8)
    return !(content.starts(with: "<tool_response>".utf8) && content.suffix(end.count) == end[...])
  }

  private static func answer(_ content: [UInt8], isAfterQuery: Bool, isLast: Bool) -> [UInt8] {
    var answer = content[...]
    var thought: ArraySlice<UInt8> = []
    if let first = firstIndex(of: thinkEnd, in: content),
      let last = lastIndex(of: thinkEnd, in: content)
    {
      answer = content[(last + thinkEnd.count)...].drop { $0 == newline }
      thought = trimmingEnd(content[..<first])
      if let start = lastIndex(of: thinkStart, in: Array(thought)) {
        thought = thought[(start + thinkStart.count)...]
      }
      thought = thought.drop { $0 == newline }
    }
    guard isAfterQuery, isLast || !thought.isEmpty else { return Array(answer) }
    return Array("<think>\n".utf8) + trimmingEnd(thought.drop { $0 == newline })
      + Array("\n</think>\n\n".utf8) + answer.drop { $0 == newline }
  }

  private static func trimmingEnd(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let end = text.lastIndex { $0 != newline }.map { $0 + 1 } ?? text.startIndex
    return text[..<end]
  }

  private static func firstIndex(of pattern: [UInt8], in text: [UInt8]) -> Int? {
    text.indices.first { text[$0...].starts(with: pattern) }
  }

  private static func lastIndex(of pattern: [UInt8], in text: [UInt8]) -> Int? {
    text.indices.last { text[$0...].starts(with: pattern) }
  }
}
