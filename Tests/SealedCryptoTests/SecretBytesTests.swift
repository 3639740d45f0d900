import Crypto
import Foundation
import Testing

@testable import SealedCrypto

@Suite struct SecretBytesTests {
  @Test func aSecretGivesBackWhatItTook() throws {
    for count in [1, 16, 32, 4095, 4096, 4097, 65536] {
      let bytes = AgeFiles.pattern(count)
      let secret = try SecretBytes(copying: bytes)
      #expect(secret.count == count)
      #expect(secret.withUnsafeBytes { Array($0) } == bytes)
    }
  }

  @Test func theSourceIsWipedWhenItIsHandedOver() throws {
    var bytes = [UInt8](repeating: 7, count: 32)
    let secret = try SecretBytes(copying: &bytes)
    #expect(bytes == [UInt8](repeating: 0, count: 32))
    #expect(secret.withUnsafeBytes { $0.allSatisfy { $0 == 7 } })
    var tooLong = [UInt8](repeating: 7, count: SecretBytes.maximumCount + 1)
    #expect(throws: SecretMemoryError.badCount(tooLong.count)) { try SecretBytes(copying: &tooLong) }
    #expect(tooLong.allSatisfy { $0 == 0 })
  }

  @Test func equalityIsByContent() throws {
    let first = try SecretBytes(copying: [1, 2, 3])
    #expect(try first == SecretBytes(copying: [1, 2, 3]))
    #expect(first == first)
    #expect(try first != SecretBytes(copying: [1, 2, 4]))
    #expect(try first != SecretBytes(copying: [1, 2]))
  }

  @Test func randomSecretsDiffer() throws {
    #expect(try SecretBytes.random(count: 32) != SecretBytes.random(count: 32))
    #expect(throws: SecretMemoryError.badCount(0)) { try SecretBytes.random(count: 0) }
    #expect(throws: SecretMemoryError.badCount(-1)) { try SecretBytes.random(count: -1) }
  }

  @Test func noTextOfASecretShowsContent() throws {
    let secret = try SecretBytes(copying: Array("sesame opens it".utf8))
    var dumped = ""
    dump(secret, to: &dumped)
    for text in ["\(secret)", String(reflecting: secret), String(describing: [secret]), dumped] {
      #expect(!text.contains("sesame") && !text.contains("115"))
      #expect(text.contains("15 bytes"))
    }
    #expect(!(secret as Any is any Encodable))
    #expect(!(secret as Any is any Decodable))
  }

  @Test func aFailingFillLeavesNoSecret() {
    struct Stop: Error {}
    #expect(throws: Stop.self) { try SecretBytes(count: 32) { _ in throw Stop() } }
  }

  @Test func manyThreadsMayReadAtOnce() async throws {
    let secret = try SecretBytes(copying: AgeFiles.pattern(1000))
    let sums = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask { (0..<200).reduce(0) { sum, _ in sum + secret.withUnsafeBytes { Int($0[999]) } } }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(Set(sums) == [200 * Int(AgeFiles.pattern(1000)[999])])
  }

  @Test func outsideItsScopeASecretCannotBeRead() async {
    await #expect(processExitsWith: .failure) {
      let secret = try SecretBytes(copying: [1, 2, 3])
      let escaped = secret.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
      // The pages are closed again: this read ends the process.
      let byte = UnsafePointer<UInt8>(bitPattern: escaped).map { $0.pointee } ?? 0
      print(byte)
      exit(0)
    }
  }
}
