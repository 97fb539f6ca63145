#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Turns signals that would end the program without a word into a message and a clean folder.
///
/// * SIGBUS at an address of a mapped file (it shrank, or its disk failed): a message that names
///   the file, temporaries removed, exit status 2.
/// * SIGINT, SIGTERM, SIGHUP: temporaries removed, then the signal's default action.
///
/// Only the command line installs it: a library does not own the process's signals.
package enum SignalGuard {
  package static func install() {
    // Create the tables now: a handler must not run a lazy initialiser.
    _ = GuardedRegistry.mappings.path(containing: 0)
    _ = GuardedRegistry.temporaries.path(containing: 0)
    installBusHandler()
    for number in [SIGINT, SIGTERM, SIGHUP] {
      // A signal that the parent told us to ignore (nohup) stays ignored.
      if isIgnored(number) { continue }
      signal(number) { interrupted in
        GuardedRegistry.temporaries.unlinkAll()
        signal(interrupted, SIG_DFL)
        raise(interrupted)
      }
    }
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var current = sigaction()
    guard sigaction(number, nil, &current) == 0 else { return false }
    #if canImport(Glibc)
      let handler = current.__sigaction_handler.sa_handler
    #else
      let handler = current.__sigaction_u.__sa_handler
    #endif
    // SIG_IGN is the address 1: two C function pointers can only be compared as addresses.
    return unsafeBitCast(handler, to: UInt.self) == unsafeBitCast(SIG_IGN, to: UInt.self)
  }

  private static func installBusHandler() {
    var action = sigaction()
    #if canImport(Glibc)
      action.__sigaction_handler.sa_sigaction = { number, info, _ in
        SignalGuard.busError(number, UInt(bitPattern: info?.pointee._sifields._sigfault.si_addr))
      }
    #else
      action.__sigaction_u.__sa_sigaction = { number, info, _ in
        SignalGuard.busError(number, UInt(bitPattern: info?.pointee.si_addr))
      }
    #endif
    action.sa_flags = Int32(SA_SIGINFO)
    sigemptyset(&action.sa_mask)
    sigaction(SIGBUS, &action, nil)
  }

  /// Runs inside the handler: only `write`, `unlink`, `signal` and `_exit`.
  private static func busError(_ number: Int32, _ address: UInt) {
    guard let path = GuardedRegistry.mappings.path(containing: address) else {
      // Not ours: the fault repeats under the default action.
      signal(number, SIG_DFL)
      return
    }
    GuardedRegistry.temporaries.unlinkAll()
    var length = 0
    while path[length] != 0 { length += 1 }
    write(STDERR_FILENO, path, length)
    say(": shrank or could not be read while it was mapped; the result is not usable\n")
    _exit(2)
  }

  private static func say(_ text: StaticString) {
    write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
  }
}
