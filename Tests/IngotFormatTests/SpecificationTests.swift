import Bytes
import Foundation
import IngotFormat
import TestSupport
import Testing

/// `formats/ingot.md` says what the writer writes.
@Suite struct SpecificationTests {
  private static let text = Shared.packageRoot.appendingPathComponent("formats/ingot.md")

  /// Section 13: the hex dump is the example file, byte for byte. After a deliberate change of
  /// the format, `INGOT_WRITE_EXAMPLE=1` rewrites the dump.
  @Test("ING-001") func exampleIsWhatTheWriterWrites() throws {
    let specification = try String(contentsOf: Self.text, encoding: .utf8)
    let begin = try #require(specification.range(of: "<!-- example:begin -->\n"))
    let end = try #require(specification.range(of: "<!-- example:end -->"))
    let dump = "```\n" + Self.dump(try Sample.exampleBytes()) + "```\n"
    if ProcessInfo.processInfo.environment["INGOT_WRITE_EXAMPLE"] != nil {
      let changed = specification.replacingCharacters(
        in: begin.upperBound..<end.lowerBound, with: dump)
      try changed.write(to: Self.text, atomically: true, encoding: .utf8)
    } else {
      #expect(specification[begin.upperBound..<end.lowerBound] == dump)
    }
  }

  /// Every requirement appears once as a definition, tests cite every one, and they cite no others.
  /// `ING-060 to ING-062` cites all between.
  @Test func testsCiteEveryRequirement() throws {
    let specification = try String(contentsOf: Self.text, encoding: .utf8)
    let defined = specification.matches(of: /\*\*(ING-\d{3})\*\*/).map { String($0.1) }
    #expect(Set(defined).count == defined.count)
    let cited = try Self.citations()
    #expect(cited.subtracting(defined).isEmpty)
    #expect(Set(defined).subtracting(cited).isEmpty)
    let python = Shared.packageRoot.appendingPathComponent("formats/ingot.py")
    #expect(
      Self.citations(in: try String(contentsOf: python, encoding: .utf8)).isSubset(of: defined))
  }

  private static func citations() throws -> Set<String> {
    let folder = Shared.packageRoot.appendingPathComponent("Tests")
    var cited: Set<String> = []
    for case let name as String in FileManager.default.enumerator(atPath: folder.path) ?? .init() {
      guard name.hasSuffix("Tests.swift") else { continue }
      let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
      cited.formUnion(citations(in: text))
    }
    return cited
  }

  private static func citations(in text: String) -> Set<String> {
    var cited = Set(text.matches(of: /ING-\d{3}/).map { String($0.0) })
    for range in text.matches(of: /ING-(\d{3}) to ING-(\d{3})/) {
      guard let first = Int(range.1), let last = Int(range.2), first < last else { continue }
      cited.formUnion((first...last).map { "ING-" + String(1000 + $0).dropFirst() })
    }
    return cited
  }

  /// The format of `hexdump -C`, runs of equal lines as `*`.
  static func dump(_ bytes: [UInt8]) -> String {
    var text = ""
    var last: ArraySlice<UInt8> = []
    var isRun = false
    for start in stride(from: 0, to: bytes.count, by: 16) {
      let line = bytes[start..<min(start + 16, bytes.count)]
      if start > 0 && line.elementsEqual(last) {
        if !isRun { text += "*\n" }
        isRun = true
        continue
      }
      isRun = false
      last = line
      let digits = line.map { hexadecimal(Int($0), width: 2) }
      let left = digits.prefix(8).joined(separator: " ")
      let right = digits.dropFirst(8).joined(separator: " ")
      let characters = String(
        decoding: line.map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
      text += "\(hexadecimal(start, width: 8))  \(left)  \(right)  |\(characters)|\n"
    }
    return text + "\(hexadecimal(bytes.count, width: 8))\n"
  }

  private static func hexadecimal(_ value: Int, width: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

/// The JSON schemas are JSON, and name what they describe.
@Suite struct SchemaTests {
  @Test(arguments: ["recipe", "quantization-report", "parity-report"])
  func schemaIsAnObject(_ name: String) throws {
    let file = Shared.packageRoot.appendingPathComponent("formats/\(name).schema.json")
    let schema = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    #expect(schema["$id"] as? String == "\(name).schema.json")
    #expect(schema["$schema"] as? String == "https://json-schema.org/draft/2020-12/schema")
    let properties = try #require(schema["properties"] as? [String: Any])
    let required = try #require(schema["required"] as? [String])
    #expect(Set(required).isSubset(of: properties.keys))
  }
}
