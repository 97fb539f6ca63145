internal import Foundation

/// Unicode normalisation form C, applied only where a quick check does not rule out a change.
///
/// A scalar of combining class 0 whose quick check is “yes” never joins the one before it (Unicode
/// Standard Annex 15, section 9), so the text can be cut before each such scalar; nearly all text
/// consists of nothing else and is left alone. The reference follows Unicode 9.0: scalars that were
/// assigned later neither move nor join. Unicode never changes how older scalars normalise, so
/// leaving the later ones out of what is normalised gives version 9.0's result on any system.
struct Normalizer: Sendable {
  let classes = UnicodeClasses.shared

  /// The normalised text, or nil when it already is; `text` is well-formed UTF-8.
  func normalized(_ text: borrowing Span<UInt8>) -> [UInt8]? {
    guard var run = nextRun(from: 0, in: text) else { return nil }
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    var copied = 0
    while true {
      let start = baseStart(of: run, in: text, after: copied)
      append(text, copied..<start, to: &output)
      output.append(contentsOf: composed(text, start..<run.upperBound).utf8)
      copied = run.upperBound
      guard let next = nextRun(from: copied, in: text) else { break }
      run = next
    }
    append(text, copied..<text.count, to: &output)
    return output
  }

  /// The next longest run of scalars that normalisation may change.
  private func nextRun(from start: Int, in text: borrowing Span<UInt8>) -> Range<Int>? {
    var position = start
    while position < text.count {
      // Every scalar below U+0300 (first byte below 0xCC) is left alone.
      if text[position] < 0xCC {
        position += 1
        continue
      }
      let (kind, length) = classes.classes(in: text, at: position)
      if kind & UnicodeClasses.composes != 0 {
        return position..<endOfRun(from: position + length, in: text)
      }
      position += length
    }
    return nil
  }

  private func endOfRun(from start: Int, in text: borrowing Span<UInt8>) -> Int {
    var position = start
    while position < text.count {
      let (kind, length) = classes.classes(in: text, at: position)
      guard kind & UnicodeClasses.composes != 0 else { break }
      position += length
    }
    return position
  }

  /// The start of what must be normalised together: the run and the scalar it may join.
  private func baseStart(
    of run: Range<Int>, in text: borrowing Span<UInt8>, after copied: Int
  ) -> Int {
    guard run.lowerBound > copied else { return run.lowerBound }
    let start = UnicodeClasses.scalarStart(before: run.lowerBound, in: text)
    let value = UnicodeClasses.scalar(in: text, at: start).value
    let age = UInt32(exactly: value).flatMap(Unicode.Scalar.init)?.properties.age
    return (age?.major ?? .max) <= 9 ? start : run.lowerBound
  }

  private func composed(_ text: borrowing Span<UInt8>, _ range: Range<Int>) -> String {
    var bytes: [UInt8] = []
    append(text, range, to: &bytes)
    return String(decoding: bytes, as: UTF8.self).precomposedStringWithCanonicalMapping
  }

  private func append(_ text: borrowing Span<UInt8>, _ range: Range<Int>, to output: inout [UInt8])
  {
    text.extracting(range).withUnsafeBufferPointer { output.append(contentsOf: $0) }
  }
}
