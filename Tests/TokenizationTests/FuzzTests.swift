import Bytes
import Foundation
import TestSupport
import Testing
import Tokenization

/// Damaged input gives an error or some tokens: no trap, no hang.
///
/// `INGOT_FUZZ=100000` tries so many mutants of each kind; the seed is fixed.
struct FuzzTests {
  private static let mutants =
    ProcessInfo.processInfo.environment["INGOT_FUZZ"].flatMap { Int($0) } ?? 1500

  private static let texts = [
    " the king's <think>er<|im_end|>  12\n\n\n e\u{301}\u{F73} 🙂 中文",
    String(repeating: "aabcing", count: 40), "<|im_start|>user\nabc<|mask|>",
  ]

  /// Uses a tokenizer in every way; the results do not matter.
  private func exercise(_ tokenizer: Tokenizer) {
    for text in Self.texts {
      let ids = tokenizer.encode(text)
      #expect(ids.allSatisfy { (0..<tokenizer.count).contains($0) })
      _ = try? tokenizer.decode(ids)
    }
    var stream = StreamingDecoder(tokenizer)
    for id in stride(from: 0, to: tokenizer.count, by: max(1, tokenizer.count / 64)) {
      _ = try? stream.append(id)
      _ = tokenizer.isSpecial(id)
    }
    _ = stream.finish()
    _ = tokenizer.id(ofAddedToken: "<|mask|>")
  }

  @Test func damagedBlobs() throws {
    let blob = try SmallVocabulary.definition().encodedBlob()
    var generator = SeededGenerator(seed: 1)
    var opened = 0
    for _ in 0..<Self.mutants {
      var mutant = blob
      for _ in 0..<Int.random(in: 1...8, using: &generator) {
        mutateNumber(&mutant, &generator)
      }
      guard let tokenizer = try? Tokenizer(blob: mutant) else { continue }
      opened += 1
      exercise(tokenizer)
    }
    // Otherwise the header alone was tested.
    #expect(opened > Self.mutants / 4)
  }

  /// A blob whose every slot is taken and whose every number is wrong in turn.
  @Test func blobsFilledWithOneValue() throws {
    let blob = try SmallVocabulary.definition().encodedBlob()
    for value: UInt8 in [0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF] {
      for start in [64, 64 + 1024, blob.count / 2] {
        var mutant = blob
        for index in start..<mutant.count { mutant[index] = value }
        exercise(try Tokenizer(blob: mutant))
      }
    }
  }

  /// Changes a byte or a whole 32-bit number, mostly behind the header.
  private func mutateNumber(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    let low = Int.random(in: 0..<8, using: &generator) == 0 ? 0 : 64
    let offset = Int.random(in: low..<bytes.count, using: &generator)
    if Bool.random(using: &generator) {
      bytes[offset] = UInt8.random(in: .min ... .max, using: &generator)
      return
    }
    let interesting: [UInt32] = [0, 1, 255, 406, 407, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]
    let value = interesting.randomElement(using: &generator)!
    for index in 0..<4 where (offset & ~3) + index < bytes.count {
      bytes[(offset & ~3) + index] = UInt8(value >> UInt32(8 * index) & 0xFF)
    }
  }

  @Test(arguments: ["tokenizer.json"])
  func damagedFastFiles(_ name: String) throws {
    let folder = try SmallVocabulary.fastFolder()
    try damageFiles(of: folder, [name], seed: 2)
  }

  @Test func damagedSlowFiles() throws {
    let folder = try SmallVocabulary.slowFolder()
    try folder.write("{{ '<|im_start|>' }}".utf8, to: "chat_template.jinja")
    let names = ["vocab.json", "merges.txt", "added_tokens.json", "tokenizer_config.json"]
    try damageFiles(of: folder, names + ["chat_template.jinja"], seed: 3)
  }

  private func damageFiles(
    of folder: TemporaryFolder, _ names: [String], seed: UInt64
  ) throws {
    var generator = SeededGenerator(seed: seed)
    let originals = try Dictionary(
      uniqueKeysWithValues: names.map { name in
        (name, Array(try Data(contentsOf: URL(fileURLWithPath: folder.path(name)))))
      })
    for _ in 0..<Self.mutants {
      let name = names.randomElement(using: &generator)!
      let original = originals[name]!
      var mutant = original
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        mutateText(&mutant, &generator)
      }
      try folder.write(mutant, to: name)
      if let definition = try? TokenizerDefinition.load(folder: folder.url.path),
        let tokenizer = try? Tokenizer(blob: definition.encodedBlob())
      {
        exercise(tokenizer)
        _ = try? ChatTemplate(source: definition.chatTemplateSource, tokenizer: tokenizer)
      }
      try folder.write(original, to: name)
    }
  }

  @Test func damagedTemplates() {
    var generator = SeededGenerator(seed: 4)
    let source = Array(
      ("{%- for message in messages %}{{- \"<|im_start|>\" + message['role'] + '\\n' }}\n"
        + "{# note -#} text {% endfor %}{% if x[0]['a b'] * 'c' + 'd' %}{{ 'e'|trim }}{% endif %}\n")
        .utf8)
    for _ in 0..<Self.mutants * 4 {
      var mutant = source
      for _ in 0..<Int.random(in: 1...5, using: &generator) { mutateText(&mutant, &generator) }
      #expect(throws: IngotError.self) {
        try ChatTemplate(recognizing: String(decoding: mutant, as: UTF8.self))
      }
    }
  }

  /// Replaces, removes, repeats or inserts a few bytes, with a liking for syntax and numbers.
  private func mutateText(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    let at = Int.random(in: 0...bytes.count, using: &generator)
    let end = min(bytes.count, at + Int.random(in: 0...12, using: &generator))
    let pieces = [
      "\"", "\\", "{", "}", "[", "]", ",", ":", "-1", "4294967296", "99999999999999999999", "1e9",
      "null", "true", "[[[[", "\\ud800", "\\u0000", "Ġ", " ", "\n", "\"a\":1,", "1048575", "%}",
      "{{", "'", "1048576", "400",
    ]
    switch Int.random(in: 0..<5, using: &generator) {
    case 0:
      for index in at..<end { bytes[index] = UInt8.random(in: .min ... .max, using: &generator) }
    case 1: bytes.removeSubrange(at..<end)
    case 2: bytes.insert(contentsOf: Array(bytes[at..<end]), at: at)
    case 3: bytes.replaceSubrange(at..<end, with: pieces.randomElement(using: &generator)!.utf8)
    default: bytes.insert(contentsOf: Array(pieces.randomElement(using: &generator)!.utf8), at: at)
    }
  }
}
