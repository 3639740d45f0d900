import Foundation
import Testing
import Wire

@testable import EnclaveImage

/// EIF files of others, and broken ones.
@Suite struct EIFTests {
  private struct Expected: Decodable {
    struct Entry: Decodable, Equatable {
      let name: String
      let kind: String
      let bytes: UInt64?
      let sha256: String?
      let target: String?
    }
    let pcr0: String
    let pcr1: String
    let pcr2: String
    let pcr8: String
    let ramdisks: [[Entry]?]
  }

  /// make.py wrote it: gzip of several members, `./` and slashes, links, devices, a signature; and what is in it.
  @Test func aSignedImageOfAnotherBuilderIsMeasuredAndListed() throws {
    let expected = try JSONDecoder().decode(
      Expected.self, from: try Data(contentsOf: SampleImage.vector("foreign.json")))
    let image = try EIFReader(try ImageFile(SampleImage.vector("foreign.eif").path))
    let measurement = try image.measure()
    #expect(Hex.encode(measurement.pcr0) == expected.pcr0)
    #expect(Hex.encode(measurement.pcr1) == expected.pcr1)
    #expect(Hex.encode(measurement.pcr2) == expected.pcr2)
    #expect(measurement.pcr8.map { Hex.encode($0) } == expected.pcr8)
    let found = try SampleImage.listing(image).map { ramdisk -> [Expected.Entry]? in
      guard case .entries(let entries, _) = ramdisk else { return nil }
      return entries.map {
        Expected.Entry(
          name: $0.name, kind: $0.kind.name, bytes: $0.kind == .file || $0.kind == .link ? $0.size : nil,
          sha256: $0.sha256.map { Hex.encode($0) }, target: $0.target)
      }
    }
    #expect(found == expected.ramdisks)
    #expect(image.commandLine == "reboot=k panic=30 pci=off console=ttyS0")
    #expect(try image.metadata() == "{\"ImageName\":\"foreign\"}")
    #expect(try SampleImage.listing(image).last == .unlisted(compression: "zstd"))
  }

  @Test func oneRamdiskIsEnoughAndThirtyAreTooMany() throws {
    func image(_ ramdisks: Int) throws -> EIFReader {
      let writer = EIFWriter(
        kernel: [1], commandLine: "", metadata: "{}", ramdisks: Array(repeating: [1, 2, 3], count: ramdisks))
      return try EIFReader(ImageMemory(try writer.encoded()))
    }
    // As AWS's builder: PCR2 of an image with one ramdisk is that of no content.
    var nothing = PCRCalculator()
    nothing.update(.ramdisk, ramdisk: 1, [])
    #expect(try image(1).measure().pcr2 == nothing.measurement(signingCertificate: nil).pcr2)
    #expect(try image(29).ramdisks.count == 29)
    #expect(refusal { _ = try image(30) }.contains("between 1 and 29"))
    #expect(refusal { _ = try image(0) }.contains("between 1 and 29"))
  }

  @Test func aFileThatEndsAtTheEdgeOfASectionOrBesideItIsRefused() throws {
    let whole = Tampered(bytes: try Array(Data(contentsOf: SampleImage.vector("foreign.eif"))))
    let edges = [0, 4, 28, 284, 544, 548] + (0..<8).flatMap { [whole.start($0) + 12, whole.end($0)] }
    for edge in edges {
      for length in [edge - 1, edge, edge + 1] where length >= 0 && length < whole.bytes.count {
        #expect(!refusal { _ = try EIFReader(ImageMemory(Array(whole.bytes[..<length]))) }.isEmpty, "\(length) bytes")
      }
    }
    #expect(refusal { try SampleImage.readAll(whole.bytes + [0]) }.contains("1 bytes after the last section"))
  }

  /// No byte of a file but the CRC's own can change unseen, and it neither.
  @Test func everyDamagedByteIsNoticed() throws {
    let whole = try SampleImage.layout().encoded()
    for offset in Array(0..<600) + Array(stride(from: 600, to: whole.count, by: 61)) {
      var bytes = whole
      bytes[offset] ^= 0x10
      #expect(!refusal { try SampleImage.readAll(bytes) }.isEmpty, "byte \(offset)")
    }
  }

  /// Each breaks one rule of a sound image; the CRC is not what refuses them.
  private static let broken: [(String, @Sendable (inout Tampered) -> Void)] = [
    ("not an EIF", { $0.set(0, 1, 0x2F) }),
    ("version 3", { $0.set(4, 2, 3) }),
    ("unknown flags", { $0.set(6, 2, 2) }),
    ("33 sections; at most 32", { $0.set(26, 2, 33) }),
    ("65535 sections", { $0.set(26, 2, 0xFFFF) }),
    (
      "one kernel, one command line",
      {
        $0.set(26, 2, 0); $0.bytes.removeLast($0.bytes.count - 548);
        $0.bytes.replaceSubrange(28..<540, with: [UInt8](repeating: 0, count: 512))
      }
    ),
    (
      "bytes after the last section",
      {
        $0.set(26, 2, 4); $0.set(28 + 32, 8, 0); $0.set(284 + 32, 8, 0)
      }
    ),
    ("for section 31", { $0.set(28 + 8 * 31, 8, 1) }),
    ("section 1: its offset 548 overlaps", { $0.set(28 + 8, 8, 548) }),
    ("section 1: its offset", { $0.set(28 + 8, 8, $0.number(28 + 8, 8) + 4) }),
    ("leaves a gap", { $0.set(28 + 8, 8, UInt64.max) }),
    ("section 0: 18446744073709551615 bytes", { $0.set(284, 8, .max) }),
    ("section 0: its own header says 1000", { $0.set(284, 8, 999) }),
    ("section 0: its own header says 18446744073709551615", { $0.set($0.start(0) + 4, 8, .max) }),
    ("section 2: unknown type 6", { $0.set($0.start(2), 2, 6) }),
    ("section 2: unknown type 0", { $0.set($0.start(2), 2, 0) }),
    ("section 2: unknown flags", { $0.set($0.start(2) + 2, 2, 1) }),
    ("sections: one kernel", { $0.set($0.start(0), 2, 3) }),
    ("sections: one kernel", { $0.set($0.start(3), 2, 1) }),
    ("sections: metadata more than once", { $0.set($0.start(4), 2, 5) }),
    ("cmdline section: not text without a NUL", { $0.set($0.start(1) + 12, 1, 0) }),
    ("cmdline section: not text without a NUL", { $0.set($0.start(1) + 12, 1, 0xFF) }),
    ("the CRC-32 is", { $0.set(544, 4, 0) }),
  ]

  @Test func aBrokenRuleIsNamed() throws {
    let sound = Tampered(bytes: try SampleImage.layout().encoded())
    for (reason, tamper) in Self.broken {
      var image = sound
      tamper(&image)
      let said = refusal { try SampleImage.readAll(image.bytes) }
      #expect(said.contains(reason), "\(said), not \(reason)")
    }
  }

  /// The certificate is what PCR8 stands for, so a section without exactly one to read first is refused.
  @Test func aSignatureSectionOfAnotherShapeIsRefused() throws {
    let pem = try Array(Data(contentsOf: SampleImage.vector("foreign.eif")))
    let sound = Tampered(bytes: pem)
    let section = Array(sound.bytes[sound.start(7) + 12..<sound.end(7)])
    #expect(try !SignatureSection.certificate(section).isEmpty)
    func numbers(_ text: String) -> CBOR { .array(text.utf8.map { .unsigned(UInt64($0)) }) }
    func map(_ certificate: CBOR) -> CBOR {
      .array([.object([("signing_certificate", certificate), ("signature", .array([]))])])
    }
    let refused: [([UInt8], String)] = [
      ([], "ended too early"), (section.dropLast(), "ended too early"), (section + [0], "trailing bytes"),
      ([0x80], "not an array of signatures"), ([0xA0], "not an array of signatures"), ([0x81, 0x01], "not a map"),
      ([0x9A, 0xFF, 0xFF, 0xFF, 0xFF], "CBOR"), (map(.bytes([1])).encoded(), "signing_certificate is not an array"),
      (map(.array([.unsigned(256)])).encoded(), "not a byte"), (map(numbers("")).encoded(), "no certificate in PEM"),
      (map(numbers("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")).encoded(), "not DER"),
      (map(numbers("-----BEGIN EC KEY-----\nMAA=\n-----END EC KEY-----\n")).encoded(), "other than a certificate"),
    ].map { (Array($0.0), $0.1) }
    for (bytes, reason) in refused {
      let said = refusal { _ = try SignatureSection.certificate(bytes) }
      #expect(said.contains(reason), "\(said), not \(reason)")
    }
  }
}
