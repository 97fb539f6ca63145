/// A reusable block of f32 numbers that only grows.
final class FloatBuffer {
  // Safe: allocated here, freed in deinit, handed out only while `self` is alive.
  private(set) var base: UnsafeMutablePointer<Float>
  private(set) var capacity: Int

  init() {
    capacity = 0
    base = Self.allocate(16)
  }

  deinit { base.deallocate() }

  /// The block, with room for at least `count` numbers; contents are lost when it grows.
  func reserve(_ count: Int) -> UnsafeMutablePointer<Float> {
    if count > capacity {
      base.deallocate()
      base = Self.allocate(count)
      capacity = count
    }
    return base
  }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer.allocate(byteCount: max(count, 16) * 4, alignment: 64)
      .bindMemory(to: Float.self, capacity: max(count, 16))
  }
}
