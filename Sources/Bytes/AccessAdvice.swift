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
  /// Large pages, where the system offers them for files.
  case hugePages

  var memoryAdvice: Int32 {
    #if canImport(Glibc)
      switch self {
      case .sequential: Int32(MADV_SEQUENTIAL)
      case .random: Int32(MADV_RANDOM)
      case .willNeed: Int32(MADV_WILLNEED)
      case .dontNeed: Int32(MADV_DONTNEED)
      case .hugePages: Int32(MADV_HUGEPAGE)
      }
    #else
      switch self {
      case .sequential: MADV_SEQUENTIAL
      case .random: MADV_RANDOM
      case .willNeed: MADV_WILLNEED
      case .dontNeed: MADV_DONTNEED
      case .hugePages: MADV_NORMAL
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
      case .hugePages: Int32(POSIX_FADV_NORMAL)
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

  /// Brings a range into memory now: one call of the system where it has one, else by touching a
  /// byte of each page.
  ///
  /// - Returns: the sum of the bytes touched, so that the reads cannot be optimised away.
  @discardableResult
  package func prefault(_ range: Range<Int>) -> UInt {
    let clamped = range.clamped(to: 0..<count)
    guard !clamped.isEmpty else { return 0 }
    #if canImport(Glibc)
      let page = Int(sysconf(Int32(_SC_PAGESIZE)))
      let start = clamped.lowerBound / page * page
      if let base = bytes.baseAddress,
        madvise(
          UnsafeMutableRawPointer(mutating: base + start), clamped.upperBound - start,
          Self.populateRead) == 0
      {
        return 0
      }
    #endif
    advise(.willNeed, clamped)
    var sum: UInt = 0
    for offset in stride(from: clamped.lowerBound, to: clamped.upperBound, by: 4096) {
      sum &+= UInt(bytes[offset])
    }
    return sum
  }

  /// MADV_POPULATE_READ of Linux 5.14, which older headers lack.
  private static let populateRead: Int32 = 22
}
