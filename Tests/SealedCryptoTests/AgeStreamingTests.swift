import Foundation
import Testing
import Wire

@testable import SealedCrypto

/// Memory stays bounded whatever the file's size.
@Suite struct AgeStreamingTests {
  /// Seals as it is read: a file of any size that is nowhere whole.
  private final class SealingSource: ByteSource, ByteSink {
    private var rest: UInt64
    private let chunk = AgeFiles.pattern(AgeFormat.chunkBytes)
    private var sealed: [UInt8] = []
    private var encryptor: AgeEncryptor?
    private var isFinished = false

    init(_ bytes: UInt64) { rest = bytes }

    func start(_ recipient: HybridRecipient) throws { encryptor = try AgeEncryptor(recipients: [recipient], to: self) }

    func write(_ bytes: [UInt8]) { sealed += bytes }

    func read(upTo count: Int) throws -> [UInt8] {
      while sealed.isEmpty, !isFinished {
        if rest == 0 {
          try encryptor?.finish()
          encryptor = nil
          isFinished = true
        } else {
          let piece = min(rest, UInt64(chunk.count))
          try encryptor?.write(piece == UInt64(chunk.count) ? chunk : Array(chunk[..<Int(piece)]))
          rest -= piece
        }
      }
      let piece = Array(sealed.prefix(count))
      sealed.removeFirst(piece.count)
      return piece
    }
  }

  /// `VmHWM`, the peak of resident memory, in KiB.
  private static func peakKiB() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
    return try #require(line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap { Int($0) })
  }

  /// 256 MB by default; `EPHEMERALML_STREAM_MB=2048` for the figure of the documentation.
  static func stream() throws {
    let megabytes = ProcessInfo.processInfo.environment["EPHEMERALML_STREAM_MB"].flatMap { UInt64($0) } ?? 256
    let identity = try HybridIdentity.generate()
    _ = try AgeFiles.open(AgeFiles.seal([1], to: [identity.recipient]), [identity])
    let before = try peakKiB()
    let clock = ContinuousClock()
    var opened: UInt64 = 0
    let time = try clock.measure {
      let source = SealingSource(megabytes << 20)
      try source.start(identity.recipient)
      let decryptor = try AgeDecryptor(identities: [identity], from: source)
      while case let bytes = try decryptor.read(upTo: 65536), !bytes.isEmpty { opened += UInt64(bytes.count) }
    }
    let growth = try peakKiB() - before
    let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
    print(
      "sealed and opened \(megabytes) MiB in \(seconds) s (\(Double(opened) / seconds / 1e6) MB/s both ways together),",
      "peak \(before + growth) KiB, growth \(growth) KiB")
    try #require(opened == megabytes << 20)
    try #require(growth < 32 << 10, "growth of \(growth) KiB")
  }

  @Test func aLargeFileTakesNoMoreMemoryThanASmallOne() async {
    // A process of its own, since the peak belongs to the process and other suites run beside this one.
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      try Self.stream()
    }
    print(String(decoding: result?.standardOutputContent ?? [], as: UTF8.self), terminator: "")
  }
}
