/// Bech32 (BIP 173) without its length limit, as age writes identities and recipients.
///
/// The checksum is computed over the lower-case form; a string is wholly lower or wholly upper case.
package enum Bech32 {
  private static let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l".utf8)
  private static let checksumCharacters = 6
  /// The longest text that is looked at; a hybrid recipient has 1,959 characters.
  package static let maximumCharacters = 4096

  /// The lower-case text of `bytes` under the lower-case prefix `prefix`.
  package static func encode(prefix: String, _ bytes: some Collection<UInt8>) -> [UInt8] {
    var groups = regroup(bytes, from: 8, to: 5, pad: true) ?? []
    defer { SecretBytes.wipe(&groups) }
    let sum = polymod(expand(prefix.utf8) + groups + [UInt8](repeating: 0, count: checksumCharacters)) ^ 1
    let checksum = (0..<checksumCharacters).map { UInt8(sum >> UInt32(5 * (checksumCharacters - 1 - $0)) & 31) }
    return Array(prefix.utf8) + [UInt8(ascii: "1")] + (groups + checksum).map { alphabet[Int($0)] }
  }

  /// The prefix as it was written (lower or upper case) and the bytes.
  ///
  /// - Throws: ``AgeError`` of kind `key`; its reason never quotes the text, which may be a secret.
  package static func decode(_ text: String) throws -> (prefix: String, bytes: [UInt8]) {
    var characters = Array(text.utf8)
    defer { SecretBytes.wipe(&characters) }
    guard characters.count <= maximumCharacters else { throw malformed("over \(maximumCharacters) characters") }
    guard characters.allSatisfy({ 33...126 ~= $0 }) else { throw malformed("a character outside printable ASCII") }
    let hasUpper = characters.contains { 0x41...0x5A ~= $0 }
    let hasLower = characters.contains { 0x61...0x7A ~= $0 }
    guard !(hasUpper && hasLower) else { throw malformed("mixed upper and lower case") }
    guard let separator = characters.lastIndex(of: UInt8(ascii: "1")) else { throw malformed("no separator") }
    let prefix = String(decoding: characters[..<separator], as: UTF8.self)
    guard !prefix.isEmpty else { throw malformed("no prefix") }

    var groups: [UInt8] = []
    defer { SecretBytes.wipe(&groups) }
    for character in characters[(separator + 1)...] {
      let lower = 0x41...0x5A ~= character ? character + 0x20 : character
      guard let value = alphabet.firstIndex(of: lower) else { throw malformed("a character outside the alphabet") }
      groups.append(UInt8(value))
    }
    guard groups.count >= checksumCharacters else { throw malformed("shorter than its checksum") }
    guard polymod(expand(prefix.lowercased().utf8) + groups) == 1 else { throw malformed("wrong checksum") }
    groups.removeLast(checksumCharacters)
    guard let bytes = regroup(groups, from: 5, to: 8, pad: false) else { throw malformed("leftover bits") }
    return (prefix, bytes)
  }

  private static func malformed(_ reason: String) -> AgeError { AgeError(.key, reason, at: "bech32 text") }

  private static func expand(_ prefix: String.UTF8View) -> [UInt8] {
    prefix.map { $0 >> 5 } + [0] + prefix.map { $0 & 31 }
  }

  private static func polymod(_ values: [UInt8]) -> UInt32 {
    let generator: [UInt32] = [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3]
    var sum: UInt32 = 1
    for value in values {
      let top = sum >> 25
      sum = (sum & 0x1FF_FFFF) << 5 ^ UInt32(value)
      for (bit, term) in generator.enumerated() where top >> UInt32(bit) & 1 == 1 { sum ^= term }
    }
    return sum
  }

  /// Turns groups of `from` bits into groups of `to` bits; nil where unpadded leftovers are a whole group or not zero.
  private static func regroup(
    _ values: some Collection<UInt8>, from: UInt32, to: UInt32, pad: Bool
  ) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(values.count * Int(from) / Int(to) + 1)
    var pending: UInt32 = 0
    var bits: UInt32 = 0
    for value in values {
      pending = (pending << from | UInt32(value)) & 0xFFF
      bits += from
      while bits >= to {
        bits -= to
        result.append(UInt8(truncatingIfNeeded: pending >> bits & (1 << to - 1)))
      }
    }
    let leftover = pending & (1 << bits - 1)
    if pad {
      if bits > 0 { result.append(UInt8(truncatingIfNeeded: leftover << (to - bits))) }
    } else if bits >= from || leftover != 0 {
      return nil
    }
    return result
  }
}
