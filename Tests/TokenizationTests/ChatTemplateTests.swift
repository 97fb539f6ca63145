import Bytes
import TestSupport
import Testing
import Tokenization

struct ChatTemplateTests {
  typealias Message = ChatTemplate.Message

  /// The same template in several hands.
  @Test(arguments: [
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content']"
      + " + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
      + "{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "{%- for message in messages -%}\n  {{- \"<|im_start|>\" + message.role + \"\\n\" +\n"
      + "message.content + \"<|im_end|>\\n\" -}}\n{%- endfor -%}\n"
      + "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n",
    "{# ChatML #}\n{% for message in messages %}\n{{- '<|im_start|>' + message['role'] + '\\n' + "
      + "message['content'] + '<|im_end|>\\n' }}\n{%- endfor %}\n{% if add_generation_prompt %}\n"
      + "{{- '<|im_start|>assistant\\n' }}\n{%- endif %}",
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}"
      + "{% endif %}{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
      + "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
      + "{{ '<|im_start|>assistant\\n' }}{% endif %}",
  ])
  func recognisesChatMLHoweverItIsWritten(_ source: String) throws {
    #expect(try ChatTemplate(recognizing: source) == .chatML)
  }

  @Test(arguments: [
    "", "{{ messages }}", "{% for", "{{ 'a", "{# a", "{{ '\\",
    // Output between the tags: a newline after each message.
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content']"
      + " + '<|im_end|>' + '\\n'}}\n{% endfor %}{% if add_generation_prompt %}"
      + "{{ '<|im_start|>assistant\\n' }}{% endif %}",
    // Another prompt.
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content']"
      + " + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
      + "{{ '<|im_start|>model\\n' }}{% endif %}",
    // Contents trimmed.
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
      + "message['content']|trim + '<|im_end|>' + '\\n'}}{% endfor %}"
      + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  ])
  func refusesEveryOther(_ source: String) {
    let error = #expect(throws: IngotError.self) { try ChatTemplate(recognizing: source) }
    #expect(error?.code == "chatTemplate.unrecognised")
  }

  @Test func assumesChatMLOnlyWithReFusionsMarks() throws {
    let tokenizer = try SmallVocabulary.tokenizer()
    #expect(try ChatTemplate(source: nil, tokenizer: tokenizer) == .chatML)
    let plain = try SmallVocabulary.tokenizer(addedTokens: [])
    let error = #expect(throws: IngotError.self) {
      try ChatTemplate(source: nil, tokenizer: plain)
    }
    #expect(error?.code == "chatTemplate.missing")
  }

  @Test func rendersChatML() {
    let messages = [Message(role: "system", content: "S"), Message(role: "user", content: "U\n")]
    let turns = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU\n<|im_end|>\n"
    #expect(
      ChatTemplate.chatML.render(messages, addGenerationPrompt: false) == turns)
    #expect(ChatTemplate.chatML.render(messages) == turns + "<|im_start|>assistant\n")
    #expect(
      ChatTemplate.qwen3.prompt("U") == "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n")
  }

  /// Expected texts are what Jinja renders from Qwen3's template.
  @Test func qwen3LeavesOutEarlierThoughts() {
    let messages = [
      Message(role: "user", content: "a"),
      Message(role: "assistant", content: "<think>\nx\n</think>\n\nb"),
      Message(role: "user", content: "c"),
      Message(role: "assistant", content: "<think>\ny\n</think>\n\nd"),
      Message(role: "tool", content: "1"), Message(role: "tool", content: "2"),
      Message(role: "assistant", content: "e"),
    ]
    #expect(
      ChatTemplate.qwen3.render(messages, addGenerationPrompt: false)
        == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        + "<|im_start|>user\nc<|im_end|>\n"
        + "<|im_start|>assistant\n<think>\ny\n</think>\n\nd<|im_end|>\n"
        + "<|im_start|>user\n<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n"
        + "</tool_response><|im_end|>\n"
        + "<|im_start|>assistant\n<think>\n\n</think>\n\ne<|im_end|>\n")
  }
}
