package import CIngotKernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The kernels of one instruction set: a table of C functions that fits this machine.
package struct KernelTable: Sendable {
  // Safe: the table is constant data in the binary.
  package nonisolated(unsafe) let pointer: UnsafePointer<ingot_kernels>

  var functions: ingot_kernels { pointer.pointee }

  /// - Parameter pointer: a table that is never freed or changed.
  package init(pointer: UnsafePointer<ingot_kernels>) { self.pointer = pointer }

  /// `scalar`, `avx2`, `avx512vnni`, `amx`, `neon` or `i8mm`.
  package var name: String { String(cString: pointer.pointee.name) }

  /// Tokens that meet quantized weights from memory in little more time than one does.
  package var sharedTokens: Int { Int(functions.shared_tokens) }

  /// What this machine can run, best first; the last one is `scalar`, the definition.
  package static let available: [KernelTable] = {
    var tables: [KernelTable] = []
    while let pointer = ingot_kernels_available(Int32(tables.count)) {
      tables.append(KernelTable(pointer: pointer))
    }
    return tables
  }()

  /// The definition that the other tables must equal.
  package static var scalar: KernelTable { available[available.count - 1] }

  package static func named(_ name: String) -> KernelTable? {
    available.first { $0.name == name }
  }

  /// The table in use: the best one, or the one `INGOT_ISA` names if this machine can run it.
  package static let selected: KernelTable = {
    if let name = getenv("INGOT_ISA"), let table = named(String(cString: name)) { return table }
    return available[0]
  }()

  /// The name in `INGOT_ISA` when this machine cannot run it, for a warning.
  package static var unavailableRequest: String? {
    guard let name = getenv("INGOT_ISA").map({ String(cString: $0) }), !name.isEmpty,
      named(name) == nil
    else { return nil }
    return name
  }
}
