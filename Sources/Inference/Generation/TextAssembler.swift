/// Puts a text together from the bytes of tokens, which may end within a character, and finds where it must stop.
struct TextAssembler {
  /// All bytes so far, up to a stop.
  private(set) var bytes: [UInt8] = []
  /// Whether a stop was found; nothing is appended then.
  private(set) var isStopped = false
  private let stops: [[UInt8]]
  private let longest: Int
  private var given = 0

  /// - Parameter stops: texts that are not empty; the output ends before the first of them.
  init(stops: [String] = []) {
    self.stops = stops.map { Array($0.utf8) }
    longest = self.stops.reduce(0) { max($0, $1.count) }
  }

  mutating func append(_ more: some Sequence<UInt8>) {
    guard !isStopped else { return }
    let before = bytes.count
    bytes += more
    guard longest > 0 else { return }
    for start in max(0, before - longest + 1)..<max(bytes.count, before) {
      for stop in stops where bytes[start...].starts(with: stop) {
        bytes.removeSubrange(start...)
        isStopped = true
        return
      }
    }
  }

  /// What is certain of the text and was not given before: whole characters that no stop can take back.
  mutating func nextPart() -> String {
    let held = isStopped ? 0 : max(Self.incomplete(bytes), pending)
    let end = max(given, bytes.count - held)
    defer { given = end }
    return String(decoding: bytes[given..<end], as: UTF8.self)
  }

  /// The whole text; bytes that are no UTF-8 become U+FFFD.
  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Bytes at the end that may be the beginning of a stop.
  private var pending: Int {
    var most = 0
    for stop in stops {
      for count in stride(from: min(stop.count - 1, bytes.count), to: most, by: -1)
      where bytes.suffix(count).elementsEqual(stop.prefix(count)) {
        most = count
        break
      }
    }
    // A character is not parted.
    var start = bytes.count - most
    while most > 0, start > 0, bytes[start] & 0xc0 == 0x80 { start -= 1 }
    return bytes.count - start
  }

  /// Bytes at the end that begin a character and do not finish it.
  private static func incomplete(_ bytes: [UInt8]) -> Int {
    for back in 1...3 where back <= bytes.count {
      let byte = bytes[bytes.count - back]
      if byte & 0xc0 == 0x80 { continue }
      let length = byte < 0xc2 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 1
      return length > back ? back : 0
    }
    return 0
  }
}
