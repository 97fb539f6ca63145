#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Small helpers around the C library's error convention.
package enum SystemCall {
  /// The text of the current `errno`: call directly after the failing function.
  package static func reason() -> String { reason(errno) }

  package static func reason(_ code: Int32) -> String { String(cString: strerror(code)) }

  /// Repeats a call that a signal interrupted before it did anything.
  package static func retrying(_ body: () -> Int) -> Int {
    while true {
      let result = body()
      if result >= 0 || errno != EINTR { return result }
    }
  }
}
