import Foundation
import Testing
import Wire

@testable import EnclaveImage

/// Ramdisks: what is written, and what hostile ones are refused for.
@Suite struct CpioTests {
  /// An entry as a hostile writer makes it.
  private func entry(
    _ name: String, mode: UInt32 = 0o100644, data: [UInt8] = [], size: UInt32? = nil, nameSize: UInt32? = nil,
    magic: String = "070701", end: [UInt8] = [0]
  ) -> [UInt8] {
    let raw = Array(name.utf8) + end
    let fields: [UInt32] = [
      1, mode, 1, 0, 0, 0, size ?? UInt32(data.count), 0, 0, 0, 0, nameSize ?? UInt32(raw.count), 0,
    ]
    var bytes = Array(magic.utf8)
    for field in fields {
      let digits = String(field, radix: 16)
      bytes += Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
    }
    bytes += raw
    bytes += [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
    return bytes + data + [UInt8](repeating: 0, count: (4 - data.count % 4) % 4)
  }

  private var trailer: [UInt8] { entry("TRAILER!!!", mode: 0) }

  private func list(_ bytes: [UInt8]) throws -> [CpioEntry] {
    var listing = RamdiskListing()
    guard case .entries(let entries, _) = try listing.list("ramdisk 0", { MemorySource(bytes) }) else { return [] }
    return entries
  }

  @Test func aRamdiskIsSortedWhateverTheOrderInWhichItWasFilled() throws {
    var one = CpioWriter()
    try one.add("b", .directory)
    try one.add("b/c", .file([1, 2, 3, 4, 5], executable: true))
    try one.add("a", .file([], executable: false))
    var other = CpioWriter()
    try other.add("a", .file([], executable: false))
    try other.add("b", .directory)
    try other.add("b/c", .file([1, 2, 3, 4, 5], executable: true))
    let bytes = try one.encoded()
    #expect(try bytes == other.encoded())
    #expect(bytes.count % 512 == 0)
    #expect(try list(bytes).map(\.name) == ["a", "b", "b/c"])
  }

  @Test func aNameThatTheKernelWouldPlaceElsewhereIsNotWritten() throws {
    for name in ["", ".", "/a", "../a", "a/../b", "a//b", "a/", "./a", "a/./b"] {
      var ramdisk = CpioWriter()
      #expect(!refusal { try ramdisk.add(name, .directory) }.isEmpty, "\(name)")
    }
    var ramdisk = CpioWriter()
    #expect(refusal { try ramdisk.add("a/b", .directory) }.contains("its directory"))
    try ramdisk.add("a", .file([], executable: false))
    #expect(refusal { try ramdisk.add("a", .directory) }.contains("twice"))
    #expect(refusal { try ramdisk.add("a/b", .directory) }.contains("its directory"))
  }

  @Test func aRamdiskThatIsNotPlainIsRefusedWithTheByte() throws {
    let refused: [([UInt8], String)] = [
      (entry("a"), "it ends too early"),
      (entry("/etc/passwd") + trailer, "byte 0: an absolute name"),
      (entry("ok") + entry("../up") + trailer, "byte 116: a name that leads out"),
      (entry("a/../../b") + trailer, "leads out"), (entry("a//b") + trailer, "not plain"),
      (entry("a/./b") + trailer, "not plain"), (entry("") + trailer, "a name of 1 bytes"),
      (entry("a", nameSize: 0) + trailer, "a name of 0 bytes"),
      (entry("a", nameSize: .max) + trailer, "a name of 4294967295 bytes"),
      (entry(String(repeating: "n", count: 4097)) + trailer, "a name of 4098 bytes"),
      (entry("a", end: [1]) + trailer, "without its end"), (entry("a\0b") + trailer, "without its end"),
      (entry("a", end: [0xFF, 0]) + trailer, "not text"),
      (entry("a", size: .max) + trailer, "a file of 4294967295 bytes"),
      (entry("d", mode: 0o040755, data: [1]) + trailer, "a directory with data"),
      (entry("k", mode: 0o110000) + trailer, "unknown kind"),
      (entry("l", mode: 0o120777) + trailer, "target has 0 bytes"),
      (entry("l", mode: 0o120777, data: [0xFF]) + trailer, "target is not text"),
      (entry("l", mode: 0o120777, size: 5000) + trailer, "target has 5000 bytes"),
      (entry("TRAILER!!!", data: [1, 2, 3]), "a trailer with data"),
      (entry("a", magic: "070707") + trailer, "no cpio header"),
      (trailer + [0] + entry("a") + trailer, "not aligned"), (trailer + Array("text".utf8), "ends too early"),
      (Array("070701".utf8) + [UInt8](repeating: UInt8(ascii: "g"), count: 200), "not hexadecimal"),
      (Array("hello, world".utf8), "it ends too early"), ([0x1F, 0x8B], "ends too early"),
      ([0x1F, 0x8B] + [UInt8](repeating: 7, count: 100), "does not inflate"),
    ]
    for (bytes, reason) in refused {
      let said = refusal { _ = try list(bytes) }
      #expect(said.contains(reason), "\(said), not \(reason)")
    }
    #expect(try list([]).isEmpty)
    #expect(try list([UInt8](repeating: 0, count: 512)).isEmpty)
  }

  /// Two gzip files that a reader without limits would write to its memory's end.
  @Test func whatInflatesIsBounded() throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", "-c", "import gzip,sys;sys.stdout.buffer.write(gzip.compress(bytes(1<<24)) * 2)"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let bomb = [UInt8](try output.fileHandleForReading.readToEnd() ?? Data())
    process.waitUntilExit()
    #expect(bomb.count < 1 << 16)
    func inflate(_ bytes: [UInt8], limit: UInt64) throws -> UInt64 {
      let source = try GzipSource(MemorySource(bytes), place: "ramdisk 0", limit: limit)
      var total: UInt64 = 0
      while case let piece = try source.read(upTo: 1 << 30), !piece.isEmpty { total += UInt64(piece.count) }
      return total
    }
    #expect(try inflate(bomb, limit: 1 << 25) == 1 << 25)
    #expect(refusal { _ = try inflate(bomb, limit: 1 << 20) }.contains("more than 1048576 bytes"))
    #expect(refusal { _ = try inflate(Array(bomb.dropLast()), limit: 1 << 30) }.contains("ends too early"))
    #expect(refusal { _ = try inflate(bomb + [1], limit: 1 << 30) }.contains("ends too early"))
  }

  @Test func whatIsListedIsBoundedOverAllRamdisks() throws {
    let name = String(repeating: "n", count: 4090)
    let archive = (0..<1000).flatMap { entry("\(name)\($0)") } + trailer
    var listing = RamdiskListing()
    var said = ""
    for _ in 0..<10 where said.isEmpty {
      said = refusal { _ = try listing.list("ramdisk 0") { MemorySource(archive) } }
    }
    #expect(said.contains("too many entries"))
  }
}
