import Crypto
import EnclaveImage
import Foundation
import SwiftASN1
import TestSupport
import Testing
import Wire

/// The image that this project builds.
@Suite struct LayoutTests {
  /// One line for each entry: what an officer compares. Nothing else is in the image: no shell, no library, no loader.
  @Test(arguments: [false, true])
  func theRamdisksHoldExactlyTheseFiles(pinsPolicy: Bool) throws {
    let layout = try SampleImage.layout(pinsPolicy: pinsPolicy)
    let image = try EIFReader(ImageMemory(try layout.encoded()))
    let found = try SampleImage.listing(image).map { ramdisk -> [String] in
      guard case .entries(let entries, compression: nil) = ramdisk else { return [] }
      return entries.map { "\(String($0.permissions, radix: 8)) \($0.kind.name) \($0.size) \($0.name)" }
    }
    let roots = layout.kmsRoots.count
    #expect(
      found == [
        ["755 directory 0 dev", "755 file 124 init", "755 directory 0 proc"],
        [
          "755 file 126 enclave-worker", "755 directory 0 image", "644 file 11 image/evidence-class",
          "644 file \(roots) image/kms-roots.pem",
        ] + (pinsPolicy ? ["644 file 4 image/pin-policy"] : []) + [
          "644 file 65 image/policy.pub", "644 file 9 image/security-module",
        ],
      ])
  }

  @Test func theSamePartsGiveTheSameBytes() throws {
    #expect(try SampleImage.layout().encoded() == SampleImage.layout().encoded())
  }

  /// Whatever the worker trusts is measured: where it runs, and what must not change without PCR0 changing.
  @Test func everyPartMovesItsRegistersAndNoOther() throws {
    let base = try measure(try SampleImage.layout())
    #expect(base.pcr8 == nil)
    let boot = [
      try SampleImage.layout(kernel: SampleImage.kernel + [1]),
      try SampleImage.layout(initProgram: SampleImage.program("Init")),
      try SampleImage.layout(commandLine: "console=ttyS0"),
    ]
    for layout in boot {
      let other = try measure(layout)
      #expect(other.pcr0 != base.pcr0 && other.pcr1 != base.pcr1 && other.pcr2 == base.pcr2)
    }
    let application = [
      try SampleImage.layout(worker: SampleImage.program("Worker")),
      try SampleImage.layout(evidenceClass: .emulated),
      try SampleImage.layout(policyKey: [UInt8](repeating: 0xAC, count: 32)),
      try SampleImage.layout(kmsRoots: Array(SampleImage.roots().dropLast())), try SampleImage.layout(pinsPolicy: true),
    ]
    for layout in application {
      let other = try measure(layout)
      #expect(other.pcr0 != base.pcr0 && other.pcr1 == base.pcr1 && other.pcr2 != base.pcr2)
    }
    #expect(try measure(try SampleImage.layout(version: "9.9")) == base, "metadata is not measured")
  }

  @Test func aPartThatCouldNeverStartIsRefusedWhenTheImageIsBuilt() throws {
    let refused: [(EnclaveLayout, String)] = [
      (try SampleImage.layout(kernel: []), "kernel: not a bzImage"),
      (try SampleImage.layout(kernel: [UInt8](repeating: 0, count: 4096)), "kernel: not a bzImage"),
      (try SampleImage.layout(initProgram: Array("#!/bin/sh\n".utf8)), "init: not an ELF executable"),
      (try SampleImage.layout(initProgram: Array(SampleImage.program("").prefix(119))), "init: an ELF file without"),
      (try SampleImage.layout(worker: SampleImage.program("", headerType: 3)), "worker: linked dynamically"),
      (try SampleImage.layout(policyKey: [1, 2, 3]), "policy key: 32 bytes"),
      (try SampleImage.layout(kmsRoots: []), "KMS roots: certificates in PEM"),
      (
        try SampleImage.layout(kmsRoots: Array("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".utf8)),
        "KMS roots"
      ),
      (try SampleImage.layout(commandLine: "a\nb"), "command line: printable"),
      (try SampleImage.layout(commandLine: String(repeating: "a", count: 5000)), "command line: one line of at most"),
      (try SampleImage.layout(version: "\",\""), "version"),
    ]
    for (layout, reason) in refused { #expect(refusal { _ = try layout.encoded() }.contains(reason), "\(reason)") }
  }

  @Test func theKernelsVersionStandsInTheMetadataThatNitroToolsRead() throws {
    let metadata = try #require(try EIFReader(ImageMemory(try SampleImage.layout().encoded())).metadata())
    let object = try #require(try JSONSerialization.jsonObject(with: Data(metadata.utf8)) as? [String: Any])
    #expect(Set(object.keys) == ["ImageName", "ImageVersion", "BuildMetadata", "DockerInfo", "CustomMetadata"])
    let build = try #require(object["BuildMetadata"] as? [String: String])
    #expect(build["KernelVersion"] == "6.12.117")
    #expect(Set(build.keys) == ["BuildTime", "BuildTool", "BuildToolVersion", "OperatingSystem", "KernelVersion"])
  }

  /// What a reader of another hand and language finds in our image.
  @Test func anIndependentReaderFindsTheSame() throws {
    struct Found: Decodable {
      struct Entry: Decodable {
        let name: String
        let ino: Int
        let owner: [Int]
        let mtime: Int
        let sha256: String?
      }
      let magic: String
      let version: Int
      let kinds: [Int]
      let crc: Bool
      let pcr0: String
      let pcr1: String
      let pcr2: String
      let cmdline: String
      let ramdisks: [[Entry]]
    }
    let bytes = try SampleImage.layout().encoded()
    let file = FileManager.default.temporaryDirectory.appending(path: "image-\(UUID().uuidString).eif")
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", SampleImage.vector("read.py").path, file.path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let answer = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    let found = try JSONDecoder().decode(Found.self, from: answer)

    let image = try EIFReader(try ImageFile(file.path))
    let measurement = try image.measure()
    #expect(found.magic == ".eif" && found.version == 4 && found.crc && found.kinds == [1, 2, 5, 3, 3])
    #expect(found.pcr0 == Hex.encode(measurement.pcr0))
    #expect(found.pcr1 == Hex.encode(measurement.pcr1))
    #expect(found.pcr2 == Hex.encode(measurement.pcr2))
    #expect(found.cmdline == image.commandLine)
    let ours = try SampleImage.listing(image).map { ramdisk -> [String] in
      guard case .entries(let entries, compression: nil) = ramdisk else { return [] }
      return entries.map { "\($0.name) \($0.sha256.map { Hex.encode($0) } ?? "-")" }
    }
    #expect(ours == found.ramdisks.map { $0.map { "\($0.name) \($0.sha256 ?? "-")" } })
    for entry in found.ramdisks.joined() { #expect(entry.owner == [0, 0] && entry.mtime == 0) }
    for ramdisk in found.ramdisks { #expect(ramdisk.map(\.ino) == Array(1...ramdisk.count)) }
  }

  /// The roots in the repository are those of the table beside them.
  @Test func theRootsAreAmazons() throws {
    let table = try String(contentsOf: Checkout.root.appending(path: "infra/enclave/README.md"), encoding: .utf8)
    let roots = try PEMDocument.parseMultiple(pemString: String(decoding: SampleImage.roots(), as: UTF8.self))
    #expect(roots.count == 5)
    for root in roots { #expect(table.contains("`\(Hex.encode(SHA256.hash(data: root.derBytes)))`")) }
  }

  private func measure(_ layout: EnclaveLayout) throws -> ImageMeasurement {
    try EIFReader(ImageMemory(try layout.encoded())).measure()
  }
}

/// What a refusal says; empty when nothing was refused.
func refusal(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch let refusal as ImageRefusal {
    return "\(refusal)"
  } catch {
    return "not an ImageRefusal: \(error)"
  }
}
