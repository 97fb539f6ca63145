import Bytes
import Testing

@Suite struct JSONTests {
  private func parse(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: Array(text.utf8))
  }

  private func code(of text: String) -> String? { code(of: Array(text.utf8)) }

  private func code(of bytes: [UInt8]) -> String? {
    do throws(IngotError) {
      _ = try JSONValue(parsing: bytes)
      return nil
    } catch {
      return error.offset == nil ? "\(error.code) without offset" : error.code
    }
  }

  @Test func readsEveryKindOfValue() throws {
    let text = """
       { "null" : null, "yes":true, "no":false, "int": -12, "real": 1.5e-3,
         "text": "a\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00", "list": [ ], "deep": [[{}]] }
      """
    let expected: JSONValue = [
      "null": nil, "yes": true, "no": false, "int": -12, "real": 0.0015,
      "text": "a\"\\/\u{8}\u{C}\n\r\té😀", "list": [], "deep": [[[:]]],
    ]
    #expect(try parse(text) == expected)
  }

  @Test func keepsNumbersExact() throws {
    #expect(try parse("9223372036854775807") == .integer(.max))
    #expect(try parse("-9223372036854775808") == .integer(.min))
    #expect(try parse("9223372036854775808") == .hugeInteger("9223372036854775808"))
    #expect(try parse("-9223372036854775809") == .hugeInteger("-9223372036854775809"))
    #expect(try parse("1.0") == .double(1))
    #expect(try parse("0.1") == .double(0.1))
    #expect(try parse("5e-324") == .double(.leastNonzeroMagnitude))
    #expect(try parse("1.7976931348623157e308") == .double(.greatestFiniteMagnitude))
    #expect(try parse("-0").number?.sign == .minus)
    #expect(try parse("1e-999") == .double(0))
  }

  @Test(arguments: [
    ("", "json.syntax"), ("  ", "json.syntax"), ("{", "json.syntax"), ("[1,]", "json.syntax"),
    ("{\"a\":1,}", "json.syntax"), ("{a:1}", "json.syntax"), ("{\"a\" 1}", "json.syntax"),
    ("[1 2]", "json.syntax"), ("nul", "json.syntax"), ("truth", "json.syntax"),
    ("NaN", "json.syntax"), ("'a'", "json.syntax"), ("\"a", "json.syntax"),
    ("\"a\\", "json.syntax"), ("\"\n\"", "json.syntax"), ("// c\n1", "json.syntax"),
    ("[}", "json.syntax"), ("{\"a\":}", "json.syntax"), ("{\"a\":1", "json.syntax"),
    ("{\"a\"", "json.syntax"), ("{\"a\":1 \"b\":2}", "json.syntax"), ("]", "json.syntax"),
    ("1 2", "json.trailing"), ("{} x", "json.trailing"), ("nulll", "json.trailing"),
    ("01", "json.number"), ("-", "json.number"), ("1.", "json.number"), ("1e", "json.number"),
    ("1e+", "json.number"), ("1e400", "json.number"), ("-01", "json.number"),
    ("[-a]", "json.number"), ("+1", "json.syntax"), (".5", "json.syntax"),
    ("\"\\x\"", "json.escape"), ("\"\\u12g4\"", "json.escape"), ("\"\\u12\"", "json.escape"),
    ("\"\\ud83d\"", "json.escape"), ("\"\\ude00\"", "json.escape"),
    ("\"\\ud83d\\u0041\"", "json.escape"), ("\"\\ud83dx\"", "json.escape"),
    ("{\"a\":1,\"a\":1}", "json.duplicateKey"), ("{\"a\":1,\"\\u0061\":1}", "json.duplicateKey"),
    ("[{\"x\":{\"\":1,\"\":1}}]", "json.duplicateKey"), ("\u{FEFF}1", "json.byteOrderMark"),
  ])
  func refuses(text: String, expected: String) {
    #expect(code(of: text) == expected, "\(text)")
  }

  @Test(arguments: [
    [0xFF], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
    [0xF8, 0x88, 0x80, 0x80, 0x80], [0xC3], [0xE2, 0x82], [0x80], [0xF0, 0x9F, 0x98],
  ])
  func refusesIllFormedUTF8(sequence: [UInt8]) {
    let quote = UInt8(ascii: "\"")
    #expect(code(of: [quote] + sequence + [quote]) == "json.utf8")
    #expect(UTF8Check.firstInvalidOffset(in: Array("123456789".utf8) + sequence) == 9)
  }

  @Test func acceptsEveryScalar() {
    for value in stride(from: UInt32(0x80), through: 0x10FFFF, by: 7) {
      guard let scalar = Unicode.Scalar(value) else { continue }
      #expect(UTF8Check.firstInvalidOffset(in: Array(String(scalar).utf8)) == nil)
    }
  }

  @Test func namesThatDifferOnlyInCompositionAreDifferent() throws {
    let object = try #require(try parse("{\"\u{E9}\":1,\"e\u{301}\":2}").object)
    #expect(object["\u{E9}"] == 1)
    #expect(object["e\u{301}"] == 2)
  }

  @Test func findsRepeatedNamesInLargeObjects() throws {
    let names = (0..<5000).map { "\"name\($0)\":0" }
    #expect(code(of: "{" + names.joined(separator: ",") + "}") == nil)
    for repeated in [0, 7, 8, 40, 4999] {
      let text = "{" + (names + ["\"name\(repeated)\":1"]).joined(separator: ",") + "}"
      #expect(code(of: text) == "json.duplicateKey")
    }
  }

  @Test func boundsNesting() {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(code(of: nested(128)) == nil)
    #expect(code(of: nested(129)) == "json.depth")
    #expect(code(of: String(repeating: "[", count: 1_000_000)) == "json.depth")
    #expect(code(of: String(repeating: "{\"a\":", count: 1_000_000)) == "json.depth")
  }

  @Test func boundsTheLengthOfNumbers() {
    #expect(code(of: String(repeating: "9", count: 1100)) == nil)
    #expect(code(of: String(repeating: "9", count: 1101)) == "json.number")
  }

  @Test func cursorTellsTypesApart() throws {
    func code(_ text: String, _ read: (inout JSONCursor) throws(IngotError) -> Void) -> String? {
      do throws(IngotError) {
        var cursor = try JSONCursor(Array(text.utf8))
        try read(&cursor)
        return nil
      } catch { return error.code }
    }
    #expect(code("1.5") { (c) throws(IngotError) in _ = try c.integer() } == "json.type")
    #expect(code("\"1\"") { (c) throws(IngotError) in _ = try c.integer() } == "json.type")
    #expect(
      code("99999999999999999999") { (c) throws(IngotError) in _ = try c.integer() }
        == "json.range")
    #expect(code("1") { (c) throws(IngotError) in _ = try c.string() } == "json.type")
    #expect(code("null") { (c) throws(IngotError) in _ = try c.bool() } == "json.type")
    #expect(
      code("{\"a\":[1,{\"b\":\"\\q\"}]}") { (c) throws(IngotError) in try c.skip() }
        == "json.escape")
    #expect(
      code("{\"a\":1,\"a\":2}") { (c) throws(IngotError) in try c.skip() }
        == "json.duplicateKey")
  }

  @Test func writesWhatItReads() throws {
    let tree: JSONValue = [
      "text": "quote \" slash \\ \u{1} \u{1F} é 😀 \n\r\t", "ids": [1, -2, .integer(.min)],
      "numbers": [0.1, 1e-6, 1e300, -0.0, .double(.leastNonzeroMagnitude)], "empty": [[:], []],
      "huge": .hugeInteger("123456789012345678901234567890"), "none": nil, "yes": true,
    ]
    for style in [JSONWriter.Style.compact, .pretty] {
      #expect(try JSONValue(parsing: tree.serialized(style)) == tree)
    }
  }

  @Test func writesOneFormOnly() {
    let tree: JSONValue = ["a": [1, 2.5], "b": [:], "c": "\u{1}", "d": .double(.nan)]
    #expect(
      String(decoding: tree.serialized(), as: UTF8.self)
        == #"{"a":[1,2.5],"b":{},"c":"\u0001","d":null}"#)
    #expect(
      String(decoding: tree.serialized(.pretty), as: UTF8.self) == """
        {
          "a": [
            1,
            2.5
          ],
          "b": {},
          "c": "\\u0001",
          "d": null
        }
        """)
  }
}
