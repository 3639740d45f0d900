import Crypto

/// The platform configuration registers of one enclave: 32 SHA-384 values, of which 0–15 belong to the boot and are
/// locked from the start, and 16–31 are the program's. A register only ever changes by being extended, and never once
/// it is locked.
struct PCRBank: Sendable {
  /// Why a register did not change, by the module's own names.
  enum Refusal: String, Error {
    case invalidIndex = "InvalidIndex"
    case readOnlyIndex = "ReadOnlyIndex"
    case invalidArgument = "InvalidArgument"
  }

  static let count = 32
  static let bootCount = 16
  static let zero = [UInt8](repeating: 0, count: 48)

  private var values = [[UInt8]](repeating: zero, count: count)
  private var locks = [Bool](repeating: false, count: count)

  /// The registers after the boot: `measured` as they are, the other boot registers zero.
  init(measured: [Int: [UInt8]]) {
    for index in 0..<Self.bootCount {
      locks[index] = true
      if let value = measured[index] { values[index] = value }
    }
  }

  /// Every locked register: what stands in an attestation document.
  var locked: [(index: Int, value: [UInt8])] {
    values.indices.filter { locks[$0] }.map { ($0, values[$0]) }
  }

  /// - Throws: ``Refusal/invalidIndex``.
  func describe(_ index: UInt64) throws(Refusal) -> (lock: Bool, value: [UInt8]) {
    let index = try Self.checked(index)
    return (locks[index], values[index])
  }

  /// Sets a register to SHA-384(old ‖ data).
  ///
  /// - Returns: its new value.
  /// - Throws: ``Refusal``.
  mutating func extend(_ index: UInt64, with data: [UInt8]) throws(Refusal) -> [UInt8] {
    let index = try Self.checked(index)
    guard !locks[index] else { throw .readOnlyIndex }
    guard !data.isEmpty else { throw .invalidArgument }
    values[index] = Array(SHA384.hash(data: values[index] + data))
    return values[index]
  }

  /// Fixes one register for the rest of the enclave's life.
  ///
  /// - Throws: ``Refusal/readOnlyIndex`` when it is fixed already.
  mutating func lock(_ index: UInt64) throws(Refusal) {
    let index = try Self.checked(index)
    guard !locks[index] else { throw .readOnlyIndex }
    locks[index] = true
  }

  /// Fixes the registers below `range`.
  ///
  /// - Throws: ``Refusal/invalidIndex`` when there are not so many.
  mutating func lock(below range: UInt64) throws(Refusal) {
    guard range <= UInt64(Self.count) else { throw .invalidIndex }
    for index in 0..<Int(range) { locks[index] = true }
  }

  private static func checked(_ index: UInt64) throws(Refusal) -> Int {
    guard index < UInt64(count) else { throw .invalidIndex }
    return Int(index)
  }
}
