/// Unicode's normal form C (UAX 15): characters and their marks in one order, and composed where they can be.
enum Composition {
  /// What two scalars become together, under `first << 32 | second`; Hangul is computed.
  private static let pairs: [UInt64: UInt32] = {
    let unicode = UnicodeData.shared
    var composed: [(scalar: UInt32, parts: ArraySlice<UInt32>)] = []
    for scalar in 0..<0x110000 as Range<UInt32> {
      let flags = unicode.flags(scalar)
      guard flags.contains(.decomposes), !flags.contains(.notComposed), UnicodeData.syllable(scalar) == nil else {
        continue
      }
      let parts = unicode.decomposition(scalar)
      if parts.count > 1 { composed.append((scalar, parts)) }
    }
    // Of three scalars the first two are one by themselves, and so on.
    composed.sort { $0.parts.count < $1.parts.count }
    var pairs: [UInt64: UInt32] = [:]
    for (scalar, parts) in composed {
      var first = parts.first
      for part in parts.dropFirst().dropLast() { first = first.flatMap { pairs[UInt64($0) << 32 | UInt64(part)] } }
      if let first, let last = parts.last { pairs[UInt64(first) << 32 | UInt64(last)] = scalar }
    }
    return pairs
  }()

  /// Appends the normal form of a text.
  static func compose(_ text: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
    // Nothing below U+0300 ever changes.
    guard text.contains(where: { $0 >= 0xcc }) else { return out.append(contentsOf: text) }
    var scalars = decomposed(text)
    order(&scalars)
    join(&scalars)
    for scalar in scalars { UTF8Text.append(scalar.value, to: &out) }
  }

  private struct Scalar {
    var value: UInt32
    let combining: UInt8
  }

  private static func decomposed(_ text: UnsafeBufferPointer<UInt8>) -> [Scalar] {
    let unicode = UnicodeData.shared
    var scalars: [Scalar] = []
    scalars.reserveCapacity(text.count)
    func add(_ value: UInt32) {
      let combines = unicode.flags(value).contains(.combines)
      scalars.append(Scalar(value: value, combining: combines ? unicode.combiningClass(value) : 0))
    }
    var place = 0
    while place < text.count {
      let value = UTF8Text.scalar(text, &place)
      guard unicode.flags(value).contains(.decomposes) else {
        add(value)
        continue
      }
      if let (lead, vowel, tail) = UnicodeData.syllable(value) {
        add(lead)
        add(vowel)
        if tail > 0 { add(tail) }
      } else {
        for part in unicode.decomposition(value) { add(part) }
      }
    }
    return scalars
  }

  /// Puts each row of marks into the order of their classes; of one class they stay as they are.
  private static func order(_ scalars: inout [Scalar]) {
    var start = 0
    while start < scalars.count {
      guard scalars[start].combining > 0 else {
        start += 1
        continue
      }
      var (end, isOrdered) = (start + 1, true)
      while end < scalars.count, scalars[end].combining > 0 {
        if scalars[end].combining < scalars[end - 1].combining { isOrdered = false }
        end += 1
      }
      if !isOrdered {
        let sorted = scalars[start..<end].enumerated().sorted {
          ($0.element.combining, $0.offset) < ($1.element.combining, $1.offset)
        }
        for (place, item) in sorted.enumerated() { scalars[start + place] = item.element }
      }
      start = end
    }
  }

  private static func join(_ scalars: inout [Scalar]) {
    var (count, starter, last) = (0, -1, -1)  // last: the class of what stands behind the starter; −1 for nothing
    for scalar in scalars {
      let combining = Int(scalar.combining)
      if starter >= 0, last < 0 || last < combining, let joined = together(scalars[starter].value, scalar.value) {
        scalars[starter].value = joined
        continue
      }
      if combining == 0 { (starter, last) = (count, -1) } else { last = combining }
      scalars[count] = scalar
      count += 1
    }
    scalars.removeSubrange(count...)
  }

  private static func together(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
      return 0xac00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    if let syllable = UnicodeData.syllable(first), syllable.tail == 0, (0x11a8...0x11c2).contains(second) {
      return first + second - 0x11a7
    }
    return pairs[UInt64(first) << 32 | UInt64(second)]
  }
}
