/// Whole words of at most 16 bytes and their ids, found with one look: most words of a text are such.
struct WordTable: Sendable {
  /// Bytes of a word that is kept here.
  static let longest = 16

  /// A word as two numbers; short words are filled up with zeros.
  struct Key: Equatable {
    let (low, high): (UInt64, UInt64)
    let count: UInt32

    /// At most `longest` bytes.
    @inline(__always)
    init(_ bytes: UnsafeBufferPointer<UInt8>) {
      count = UInt32(truncatingIfNeeded: bytes.count)
      guard let start = bytes.baseAddress.map(UnsafeRawPointer.init) else {
        (low, high) = (0, 0)
        return
      }
      if bytes.count >= 8 {
        low = UInt64(littleEndian: start.loadUnaligned(as: UInt64.self))
        // The last eight bytes, less those that are in `low`; a shift by 64 gives 0.
        let last = UInt64(littleEndian: start.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self))
        high = last >> UInt64(8 * (16 - bytes.count))
      } else {
        high = 0
        if bytes.count >= 4 {
          let first = UInt64(UInt32(littleEndian: start.loadUnaligned(as: UInt32.self)))
          let last = UInt32(littleEndian: start.loadUnaligned(fromByteOffset: bytes.count - 4, as: UInt32.self))
          low = first | UInt64(last) << UInt64(8 * (bytes.count - 4))
        } else {
          var bits: UInt64 = 0
          for index in 0..<bytes.count { bits |= UInt64(bytes[index]) << UInt64(8 * index) }
          low = bits
        }
      }
    }
  }

  private struct Entry {
    var (low, high): (UInt64, UInt64)
    var count: UInt32
    /// −1 in an empty place.
    var id: Int32
  }

  private let entries: AlignedBuffer<Entry>
  private let mask: Int
  /// Drawn anew for each table, so that no file can make its words meet.
  private let seeds = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))

  /// Tokens that are longer are left out, and so is one that stands twice.
  init(_ tokens: [TokenTrie.Token]) {
    var room = 64
    while room < 2 * tokens.count { room *= 2 }
    entries = AlignedBuffer(count: room)
    mask = room - 1
    for place in 0..<room { entries.pointer[place].id = -1 }
    for token in tokens where token.utf8.count <= Self.longest {
      token.utf8.withUnsafeBufferPointer { bytes in
        let key = Key(bytes)
        let place = place(of: key)
        entries.pointer[place] = Entry(low: key.low, high: key.high, count: key.count, id: token.id)
      }
    }
  }

  /// The id of a word of at most `longest` bytes; −1 when it is none of the table.
  @inline(__always)
  func id(_ word: UnsafeBufferPointer<UInt8>) -> Int32 { entries.pointer[place(of: Key(word))].id }

  @inline(__always)
  private func place(of key: Key) -> Int {
    let product = (key.low ^ seeds.0).multipliedFullWidth(by: key.high ^ seeds.1 ^ UInt64(key.count))
    var place = Int(truncatingIfNeeded: product.high ^ product.low) & mask
    while true {
      let entry = entries.pointer[place]
      if entry.id < 0 || (entry.low == key.low && entry.high == key.high && entry.count == key.count) { return place }
      place = (place + 1) & mask
    }
  }
}
