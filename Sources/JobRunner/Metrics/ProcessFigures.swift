import Foundation
import Glibc

/// What the kernel says of this process, under the names that Prometheus' client libraries use.
struct ProcessFigures: Sendable {
  /// Seconds since 1970.
  var startSeconds: Double?
  /// Of user and system time.
  var cpuSeconds: Double?
  var residentBytes: Double?
  var virtualBytes: Double?
  var openFiles: Double?
  var fileLimit: Double?
  var threads: Double?

  /// Reads `/proc/self`; what cannot be read stays nil.
  static func read() -> ProcessFigures {
    var figures = ProcessFigures()
    let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
    let page = Double(max(1, sysconf(Int32(_SC_PAGESIZE))))
    // After the command's name, which is in brackets and may hold anything: field 3 and on (proc(5)).
    if let stat = text("/proc/self/stat"), let end = stat.lastIndex(of: ")") {
      let fields = stat[stat.index(after: end)...].split(separator: " ")
      func field(_ number: Int) -> Double? { number - 3 < fields.count ? Double(fields[number - 3]) : nil }
      if let user = field(14), let system = field(15) { figures.cpuSeconds = (user + system) / ticks }
      figures.threads = field(20)
      figures.virtualBytes = field(23)
      figures.residentBytes = field(24).map { $0 * page }
      if let started = field(22), let boot = bootSeconds() { figures.startSeconds = boot + started / ticks }
    }
    // The one that is open for the listing itself does not count.
    figures.openFiles = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map {
      Double(max(0, $0.count - 1))
    }
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      figures.fileLimit = Double(limit.rlim_cur)
    }
    return figures
  }

  /// Room that is left to the daemon, and the size, of the volume that holds a path.
  static func volume(of path: String) -> (freeBytes: Double, sizeBytes: Double)? {
    var figures = statvfs()
    guard statvfs(path, &figures) == 0 else { return nil }
    let block = Double(figures.f_frsize)
    return (Double(figures.f_bavail) * block, Double(figures.f_blocks) * block)
  }

  /// Size of a file; 0 where there is none.
  static func fileBytes(_ path: String) -> Double {
    var figures = stat()
    return stat(path, &figures) == 0 ? Double(figures.st_size) : 0
  }

  private static func bootSeconds() -> Double? {
    text("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
  }

  private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
