/// Unicode normalisation form C, applied only where a quick check does not rule out a change.
///
/// A scalar of combining class 0 whose quick check is “yes” never joins the one before it (Unicode
/// Standard Annex 15, section 9), so the text can be cut before each such scalar; nearly all text
/// consists of nothing else and is left alone.
///
/// The reference follows Unicode 9.0: scalars assigned later neither move nor join, and this type
/// follows it, whatever the system's own version. Foundation's normaliser is not used because on
/// Linux it leaves some strings as they are (U+C5B4 U+11C1) and takes supplementary scalars for
/// others (U+E0044 for U+0044).
struct Normalizer: Sendable {
  let classes = UnicodeClasses.shared

  /// The normalised text, or nil when nothing in it may change; `text` is well-formed UTF-8.
  ///
  /// Linear, but n log n in a run of combining marks.
  func normalized(_ text: borrowing Span<UInt8>) -> [UInt8]? {
    guard var run = nextRun(from: 0, in: text) else { return nil }
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    var copied = 0
    while true {
      // The scalar before the run may take part.
      let start =
        run.lowerBound > copied
        ? UnicodeClasses.scalarStart(before: run.lowerBound, in: text) : run.lowerBound
      append(text, copied..<start, to: &output)
      compose(text, start..<run.upperBound, into: &output)
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

  private func append(_ text: borrowing Span<UInt8>, _ range: Range<Int>, to output: inout [UInt8])
  {
    // Safe: the buffer is used inside the closure only.
    text.extracting(range).withUnsafeBufferPointer { output.append(contentsOf: $0) }
  }
}

// MARK: Decompose, order, compose

extension Normalizer {
  private struct Scalar {
    var value: UInt32
    var combiningClass: UInt8
  }

  private func compose(
    _ text: borrowing Span<UInt8>, _ range: Range<Int>, into output: inout [UInt8]
  ) {
    var scalars: [Scalar] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let (value, length) = UnicodeClasses.scalar(in: text, at: position)
      decompose(UInt32(value), into: &scalars)
      position += length
    }
    order(&scalars)
    compose(&scalars)
    for scalar in scalars {
      // Every value comes from text or from the tables, so it is a scalar.
      if let scalar = Unicode.Scalar(scalar.value) {
        output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      }
    }
  }

  /// Unicode 16, section 3.7, D68; Hangul by section 3.12.
  private func decompose(_ value: UInt32, into output: inout [Scalar]) {
    let syllable = value &- Hangul.firstSyllable
    if syllable < Hangul.syllableCount {
      let trailing = syllable % Hangul.trailingCount
      let pair = syllable / Hangul.trailingCount
      output.append(
        Scalar(value: Hangul.firstLeading + pair / Hangul.vowelCount, combiningClass: 0))
      output.append(
        Scalar(value: Hangul.firstVowel + pair % Hangul.vowelCount, combiningClass: 0))
      if trailing > 0 {
        output.append(Scalar(value: Hangul.beforeTrailing + trailing, combiningClass: 0))
      }
    } else if let (first, second) = NormalizationData.shared.decompositions[value] {
      decompose(first, into: &output)
      if second != 0 { decompose(second, into: &output) }
    } else {
      let isMark = classes[Int(value)] & UnicodeClasses.composes != 0
      let scalar = isMark ? Unicode.Scalar(value) : nil
      let combiningClass = scalar?.properties.canonicalCombiningClass.rawValue ?? 0
      output.append(Scalar(value: value, combiningClass: combiningClass))
    }
  }

  /// Sorts each run of marks by combining class, equal ones staying in order (section 3.11, D109).
  private func order(_ scalars: inout [Scalar]) {
    var start = 0
    while start < scalars.count {
      guard scalars[start].combiningClass != 0 else {
        start += 1
        continue
      }
      let end = scalars[start...].firstIndex { $0.combiningClass == 0 } ?? scalars.count
      let marks = scalars[start..<end].enumerated().sorted { left, right in
        (left.element.combiningClass, left.offset) < (right.element.combiningClass, right.offset)
      }
      scalars.replaceSubrange(start..<end, with: marks.map(\.element))
      start = end
    }
  }

  /// Joins each scalar to the last starter where nothing in between blocks it (section 3.11, D117).
  private func compose(_ scalars: inout [Scalar]) {
    var count = 0
    var starter: Int?
    var lastClass: UInt8 = 0
    for scalar in scalars {
      if let starter,
        count == starter + 1 || lastClass < scalar.combiningClass,
        let composed = composition(scalars[starter].value, scalar.value)
      {
        scalars[starter].value = composed
        continue
      }
      if scalar.combiningClass == 0 { starter = count }
      lastClass = scalar.combiningClass
      scalars[count] = scalar
      count += 1
    }
    scalars.removeSubrange(count...)
  }

  private func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    let leading = first &- Hangul.firstLeading
    let vowel = second &- Hangul.firstVowel
    if leading < Hangul.leadingCount, vowel < Hangul.vowelCount {
      return Hangul.firstSyllable + (leading * Hangul.vowelCount + vowel) * Hangul.trailingCount
    }
    let syllable = first &- Hangul.firstSyllable
    let trailing = second &- Hangul.beforeTrailing
    if syllable < Hangul.syllableCount, syllable % Hangul.trailingCount == 0,
      (1..<Hangul.trailingCount).contains(trailing)
    {
      return first + trailing
    }
    return NormalizationData.shared.compositions[UInt64(first) << 32 | UInt64(second)]
  }
}

/// Unicode 16, section 3.12.
private enum Hangul {
  static let firstSyllable: UInt32 = 0xAC00
  static let firstLeading: UInt32 = 0x1100
  static let firstVowel: UInt32 = 0x1161
  static let beforeTrailing: UInt32 = 0x11A7
  static let leadingCount: UInt32 = 19
  static let vowelCount: UInt32 = 21
  static let trailingCount: UInt32 = 28
  static let syllableCount: UInt32 = 11172
}

/// The tables as dictionaries, made when the first text needs them.
private struct NormalizationData: Sendable {
  static let shared = NormalizationData()

  /// What a code point decomposes into; the second is 0 when it is one code point.
  var decompositions: [UInt32: (UInt32, UInt32)] = [:]
  /// By first and second code point.
  var compositions: [UInt64: UInt32] = [:]

  private init() {
    for pairs in [Normalizer.compositions, Normalizer.excludedCompositions] {
      for index in stride(from: 0, to: pairs.count, by: 3) {
        decompositions[pairs[index]] = (pairs[index + 1], pairs[index + 2])
      }
    }
    for index in stride(from: 0, to: Normalizer.compositions.count, by: 3) {
      let (first, second) = (Normalizer.compositions[index + 1], Normalizer.compositions[index + 2])
      compositions[UInt64(first) << 32 | UInt64(second)] = Normalizer.compositions[index]
    }
    let runs = Normalizer.singletonRuns
    var index = 0
    while index < runs.count {
      let count = Int(runs[index + 1])
      for offset in 0..<count {
        decompositions[runs[index] + UInt32(offset)] = (runs[index + 2 + offset], 0)
      }
      index += 2 + count
    }
  }
}
