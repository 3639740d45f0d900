import Foundation
import TestSupport
import Testing
import Wire

@testable import ObjectStore

/// Not a test but a measurement, of the very code that is tested: `make bench-s3`.
@Suite(
  "S3 transfer speed",
  .enabled(
    if: ProcessInfo.processInfo.environment["EPHEMERALML_BENCH_S3_MIB"] != nil, "skipped: `make bench-s3` runs it"))
struct TransferBench {
  @Test("upload and download, with lanes and without")
  func speed() throws {
    let mebibytes = ProcessInfo.processInfo.environment["EPHEMERALML_BENCH_S3_MIB"].flatMap { Int($0) } ?? 1024
    let lanes = ProcessInfo.processInfo.environment["EPHEMERALML_BENCH_S3_LANES"].flatMap { Int($0) } ?? 4
    let late = ProcessInfo.processInfo.environment["EPHEMERALML_BENCH_S3_LATE_MS"].flatMap { Int($0) } ?? 0
    let moto = try Moto.open.get()
    var settings = S3Settings()
    settings.lanes = lanes
    let proxy = late > 0 ? try FaultProxy(to: moto.endpoint) { _ in .late(milliseconds: late) } : nil
    let store = try moto.store(through: proxy?.endpoint, settings: settings)
    let key = try ObjectKey("bench")
    let piece = Bytes.random(1 << 20)

    var begin = ContinuousClock.now
    let writer = try store.openWriter(key)
    for _ in 0..<mebibytes { try writer.write(piece) }
    #expect(try writer.commit(.ifAbsent) == .written)
    let up = Self.seconds(since: begin)

    begin = .now
    let reader = try store.read(key)
    var count = 0
    while case let got = try reader.read(upTo: Limits.chunkBytes), !got.isEmpty { count += got.count }
    let down = Self.seconds(since: begin)
    #expect(count == mebibytes << 20)
    print(
      "\(mebibytes) MiB, \(lanes) lanes, \(late) ms to the server: up \(Int(Double(mebibytes) / up)) MiB/s,",
      "down \(Int(Double(mebibytes) / down)) MiB/s, at most \(Self.peakMebibytes()) MiB of memory")
  }

  private static func seconds(since begin: ContinuousClock.Instant) -> Double {
    let (seconds, attoseconds) = begin.duration(to: .now).components
    return Double(seconds) + Double(attoseconds) / 1e18
  }

  private static func peakMebibytes() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
  }
}
