import CIngotKernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Which cache entries one token attends to: [0, prefixEnd), and those of [start, end) that are not in
/// [holeStart, holeEnd). Laid out as the kernels' `ingot_span`.
package struct AttentionSpan: Sendable, Hashable {
  package var prefixEnd: Int32
  package var start: Int32
  package var end: Int32
  package var holeStart: Int32 = 0
  package var holeEnd: Int32 = 0

  package init(prefixEnd: Int32, start: Int32 = 0, end: Int32 = 0, hole: Range<Int32> = 0..<0) {
    self.prefixEnd = prefixEnd
    self.start = start
    self.end = end
    holeStart = hole.lowerBound
    holeEnd = hole.upperBound
  }
}

/// Keys and values of every layer, in the order tokens were stored.
///
/// Memory is taken from the system as zeros and touched only when entries are stored.
package final class KeyValueCache {
  package enum Format: Int32, Sendable, Hashable, CaseIterable {
    case float32 = 0
    case float16 = 1
    /// int8 with one scale per entry and head.
    case int8 = 2

    package var elementBytes: Int {
      switch self {
      case .float32: 4
      case .float16: 2
      case .int8: 1
      }
    }
  }

  package let layers: Int
  package let keyValueHeads: Int
  package let headDimension: Int
  package let format: Format
  /// Entries that fit without growing, a multiple of 16.
  package private(set) var capacity = 0

  private var memory = ZeroedPages(count: 0)

  package init(
    layers: Int, keyValueHeads: Int, headDimension: Int, format: Format, capacity: Int
  ) {
    precondition(layers > 0 && keyValueHeads > 0 && headDimension > 0 && capacity >= 0)
    self.layers = layers
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.format = format
    reserve(max(capacity, 16))
  }

  /// Bytes set aside, whether touched or not.
  package var bytes: Int { memory.count }

  /// Makes room for `capacity` entries and keeps what is stored; at least doubles when it grows.
  package func reserve(_ capacity: Int) {
    guard capacity > self.capacity else { return }
    let wanted = (max(capacity, 2 * self.capacity) + 15) / 16 * 16
    var grown = ZeroedPages(count: layers * sections(wanted).layer)
    swap(&grown, &memory)
    let old = self.capacity
    self.capacity = wanted
    guard old > 0 else { return }
    for layer in 0..<layers { copy(layer, from: grown.base, capacity: old) }
  }

  /// Stores the key and value of one token, [keyValueHeads × headDimension] each, after RoPE.
  package func store(
    layer: Int, index: Int, key: UnsafePointer<Float>, value: UnsafePointer<Float>,
    kernels: KernelTable = .selected
  ) {
    precondition((0..<capacity).contains(index), "entry \(index) of \(capacity)")
    var view = view(layer)
    for head in 0..<keyValueHeads {
      kernels.functions.cache_store(
        &view, Int64(head), Int64(index), key + head * headDimension,
        value + head * headDimension)
    }
  }

  /// Copies entry `source` over entry `destination` in every layer: what committing rows that
  /// were computed elsewhere in the cache takes.
  package func move(from source: Int, to destination: Int) {
    precondition((0..<capacity).contains(source) && (0..<capacity).contains(destination))
    guard source != destination else { return }
    for layer in 0..<layers { moveEntry(layer, source, destination) }
  }

  /// The C view of one layer.
  func view(_ layer: Int) -> ingot_cache {
    precondition((0..<layers).contains(layer))
    return view(layer, in: memory.base, capacity: capacity)
  }
}

extension KeyValueCache {
  private var valueStride: Int { (headDimension + 15) / 16 * 16 }

  /// Bytes of keys, values and one plane of scales of a layer, and of the whole layer.
  private func sections(
    _ capacity: Int
  ) -> (keys: Int, values: Int, scales: Int, layer: Int) {
    let entries = keyValueHeads * capacity
    let keys = entries * headDimension * format.elementBytes
    let values = entries * valueStride * format.elementBytes
    let scales = format == .int8 ? entries * MemoryLayout<Float>.size : 0
    return (keys, values, scales, keys + values + 2 * scales)
  }

  private func view(
    _ layer: Int, in base: UnsafeMutableRawPointer, capacity: Int
  ) -> ingot_cache {
    let sizes = sections(capacity)
    let keys = base + layer * sizes.layer
    let values = keys + sizes.keys
    let scales = (values + sizes.values).assumingMemoryBound(to: Float.self)
    let entries = keyValueHeads * capacity
    return ingot_cache(
      keys: keys, values: values, key_scales: scales,
      value_scales: sizes.scales > 0 ? scales + entries : scales, capacity: Int64(capacity),
      heads: Int64(keyValueHeads), dimension: Int64(headDimension),
      value_stride: Int64(valueStride), format: format.rawValue)
  }

  /// Copies a layer from memory laid out for a smaller capacity; both are multiples of 16, so
  /// each head's keys and values are one run of bytes.
  private func copy(_ layer: Int, from base: UnsafeMutableRawPointer, capacity old: Int) {
    let source = view(layer, in: base, capacity: old)
    let target = view(layer)
    let width = format.elementBytes
    for head in 0..<keyValueHeads {
      func run(
        _ from: UnsafeMutableRawPointer, _ to: UnsafeMutableRawPointer, _ entryBytes: Int
      ) {
        memcpy(
          to + head * capacity * entryBytes, from + head * old * entryBytes, old * entryBytes)
      }
      run(source.keys, target.keys, headDimension * width)
      run(source.values, target.values, valueStride * width)
      if format == .int8 {
        run(source.key_scales, target.key_scales, MemoryLayout<Float>.size)
        run(source.value_scales, target.value_scales, MemoryLayout<Float>.size)
      }
    }
  }

  private func moveEntry(_ layer: Int, _ source: Int, _ destination: Int) {
    let view = view(layer)
    let width = format.elementBytes
    for head in 0..<keyValueHeads {
      let keys = view.keys + head * capacity * headDimension * width
      func key(_ entry: Int, _ element: Int) -> UnsafeMutableRawPointer {
        keys + ((entry / 16 * headDimension + element) * 16 + entry % 16) * width
      }
      for element in 0..<headDimension {
        memcpy(key(destination, element), key(source, element), width)
      }
      let values = view.values + head * capacity * valueStride * width
      let entryBytes = valueStride * width
      memcpy(values + destination * entryBytes, values + source * entryBytes, entryBytes)
      if format == .int8 {
        let row = head * capacity
        view.key_scales[row + destination] = view.key_scales[row + source]
        view.value_scales[row + destination] = view.value_scales[row + source]
      }
    }
  }
}
