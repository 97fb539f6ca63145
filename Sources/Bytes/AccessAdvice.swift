#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How a range of a file is about to be used: a hint for the system's cache.
package enum AccessAdvice: Sendable {
  case sequential
  case random
  case willNeed
  /// The pages can go: they come back from the file when they are touched again.
  case dontNeed

  var memoryAdvice: Int32 {
    #if canImport(Glibc)
      switch self {
      case .sequential: Int32(MADV_SEQUENTIAL)
      case .random: Int32(MADV_RANDOM)
      case .willNeed: Int32(MADV_WILLNEED)
      case .dontNeed: Int32(MADV_DONTNEED)
      }
    #else
      switch self {
      case .sequential: MADV_SEQUENTIAL
      case .random: MADV_RANDOM
      case .willNeed: MADV_WILLNEED
      case .dontNeed: MADV_DONTNEED
      }
    #endif
  }

  #if canImport(Glibc)
    var fileAdvice: Int32 {
      switch self {
      case .sequential: Int32(POSIX_FADV_SEQUENTIAL)
      case .random: Int32(POSIX_FADV_RANDOM)
      case .willNeed: Int32(POSIX_FADV_WILLNEED)
      case .dontNeed: Int32(POSIX_FADV_DONTNEED)
      }
    }
  #endif
}

extension MappedFile {
  /// Hints how a byte range will be used. Whole pages inside the range only for `dontNeed`, so
  /// that neighbours keep theirs.
  package func advise(_ advice: AccessAdvice, _ range: Range<Int>) {
    let clamped = range.clamped(to: 0..<count)
    guard !clamped.isEmpty, let base = bytes.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    var start = clamped.lowerBound / page * page
    var end = clamped.upperBound
    if advice == .dontNeed {
      start = (clamped.lowerBound + page - 1) / page * page
      // The last page of the file may go although the file ends inside it.
      if end != count { end = end / page * page }
    }
    guard start < end else { return }
    // A hint: its failure changes nothing but speed.
    _ = madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, advice.memoryAdvice)
  }

  /// Brings a range into memory now by touching a byte of each page.
  ///
  /// - Returns: the sum of those bytes, so that the reads cannot be optimised away.
  @discardableResult
  package func prefault(_ range: Range<Int>) -> UInt {
    let clamped = range.clamped(to: 0..<count)
    advise(.willNeed, clamped)
    var sum: UInt = 0
    for offset in stride(from: clamped.lowerBound, to: clamped.upperBound, by: 4096) {
      sum &+= UInt(bytes[offset])
    }
    return sum
  }
}
