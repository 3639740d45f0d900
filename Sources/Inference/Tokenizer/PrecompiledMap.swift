/// SentencePiece's compiled normalization (`Precompiled`): a double-array trie from texts to what replaces them, as
/// Hugging Face's `tokenizers` applies it, cluster by cluster.
///
/// The file may be anybody's: every step of a walk looks whether it is still inside the array.
struct PrecompiledMap: Sendable {
  /// Bytes of a cluster that is looked up as a whole.
  private static let wholeCluster = 5
  /// Bytes of the decoded file at most; XLM-R's has 240,000.
  static let bytesLimit = 4 << 20

  private let units: [UInt32]
  /// Replacements, each ended by a zero byte.
  private let texts: [UInt8]
  /// Bytes of the longest replacement.
  let longest: Int
  /// What each ASCII character becomes; nil where nothing changes it.
  private var ascii: [[UInt8]?] = []

  /// Reads the base64 of tokenizer.json. Throws the reason why it is none.
  init(base64: String) throws(ModelError.Reason) {
    guard base64.utf8.count <= Self.bytesLimit / 3 * 4 else {
      throw .init("is larger than \(Self.bytesLimit) bytes")
    }
    guard let bytes = Self.decoded(base64) else { throw .init("is no base64") }
    func word(_ place: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) } }
    guard bytes.count >= 4 else { throw .init("ends before its trie") }
    let size = Int(word(0))
    guard size > 0, size % 4 == 0, size <= bytes.count - 4 else { throw .init("has a trie that does not fit") }
    units = stride(from: 4, to: 4 + size, by: 4).map(word)
    texts = Array(bytes[(4 + size)...])
    guard String(validating: texts, as: UTF8.self) != nil else { throw .init("has replacements that are not UTF-8") }
    longest = texts.split(separator: 0).reduce(0) { max($0, $1.count) }
    ascii = (0..<128 as Range<UInt8>).map { byte in
      [byte].withUnsafeBufferPointer { replacement($0).map { Array(texts[$0]) } }
    }
  }

  /// Appends what `text` becomes.
  func apply(_ text: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
    var place = 0
    while place < text.count {
      let byte = text[place]
      if byte < 0x80, place + 1 == text.count || (text[place + 1] < 0x80 && byte != 0x0d) {
        if let becomes = ascii[Int(byte)] { out += becomes } else { out.append(byte) }
        place += 1
        continue
      }
      let end = GraphemeClasses.shared.end(text, from: place)
      let cluster = UnsafeBufferPointer(rebasing: text[place..<end])
      if cluster.count <= Self.wholeCluster, let becomes = replacement(cluster) {
        out += texts[becomes]
      } else {
        scalars(cluster, to: &out)
      }
      place = end
    }
  }

  private func scalars(_ cluster: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
    var start = 0
    while start < cluster.count {
      let end = min(start + UTF8Text.length(cluster[start]), cluster.count)
      let scalar = UnsafeBufferPointer(rebasing: cluster[start..<end])
      if let becomes = replacement(scalar) { out += texts[becomes] } else { out.append(contentsOf: scalar) }
      start = end
    }
  }

  /// The replacement of the shortest key with which `text` begins: so do the originals, for better or worse.
  private func replacement(_ text: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
    func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }
    var node = offset(units[0])
    for byte in text {
      guard byte != 0 else { return nil }
      node ^= Int(byte)
      guard node < units.count else { return nil }
      let unit = units[node]
      guard unit & (1 << 31 | 0xff) == UInt32(byte) else { return nil }
      node ^= offset(unit)
      guard node < units.count else { return nil }
      if unit & 1 << 8 != 0 { return span(Int(units[node] & 0x7fff_ffff)) }
    }
    return nil
  }

  /// From a place up to the next zero byte; nil where no scalar begins, so that what comes out is always UTF-8.
  private func span(_ start: Int) -> Range<Int>? {
    guard start < texts.count, texts[start] & 0xc0 != 0x80 else { return nil }
    var end = start
    while end < texts.count, texts[end] != 0 { end += 1 }
    return start..<end
  }

  private static func decoded(_ base64: String) -> [UInt8]? {
    var (bytes, bits, count): ([UInt8], UInt32, Int) = ([], 0, 0)
    var text = Array(base64.utf8)[...]
    guard text.count % 4 == 0 else { return nil }
    for _ in 0..<2 where text.last == UInt8(ascii: "=") { text.removeLast() }
    bytes.reserveCapacity(text.count / 4 * 3)
    for character in text {
      let value: UInt8
      switch character {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
      case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
      case UInt8(ascii: "+"): value = 62
      case UInt8(ascii: "/"): value = 63
      default: return nil
      }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return bytes
  }
}
