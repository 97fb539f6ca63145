import Bytes
import Foundation
import TestSupport
import Testing

/// What the signal handlers do shows only when a process dies: exit tests run in one of their own.
@Suite struct SignalGuardTests {
  @Test func shrunkenMappingEndsWithAMessageThatNamesTheFile() async throws {
    let result = await #expect(
      processExitsWith: .exitCode(2), observing: [\.standardErrorContent]
    ) {
      let folder = try TemporaryFolder()
      let path = try folder.write([UInt8](repeating: 1, count: 1 << 20), to: "shrinks")
      let mapped = try MappedFile(path: path)
      let writer = try AtomicFileWriter(path: folder.path("out"), count: 10)
      SignalGuard.install()
      try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(atOffset: 0)
      print(mapped.bytes[1 << 19], writer.count)
    }
    let message = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(message.contains("shrinks: shrank or could not be read while it was mapped"))
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func interruptionRemovesTemporaries(_ signal: Int32) async throws {
    let folder = try TemporaryFolder()
    let removed = folder.path("removed")
    let kept = folder.path("kept")
    await #expect(processExitsWith: .signal(signal)) {
      [signal = signal as Int32, removed = removed as String, kept = kept as String] in
      let first = try AtomicFileWriter(path: removed, count: 10)
      let second = try AtomicFileWriter(path: kept, count: 10, tag: "x", keepsOnInterrupt: true)
      SignalGuard.install()
      // To the process, not to this thread: the threads of a pool block signals.
      kill(getpid(), signal)
      sleep(10)
      print(first.count, second.count)
    }
    #expect(folder.names == ["kept.partial-x"])
  }
}
