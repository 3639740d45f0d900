import Foundation

/// The daemon's unit and its timers, where systemd runs the machine and has them.
enum SystemdUnit {
  private static let unit = "ephemeral-daemon.service"

  /// Nil where there is no systemd or no such unit.
  static func examine() -> [Diagnosis]? {
    guard FileManager.default.fileExists(atPath: "/run/systemd/system"),
      let shown = ask(["show", unit, "-p", "LoadState,ActiveState,UnitFileState,NRestarts"])
    else { return nil }
    let facts = Dictionary(
      shown.split(separator: "\n").compactMap { line -> (String, String)? in
        let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
      }, uniquingKeysWith: { first, _ in first })
    guard facts["LoadState"] == "loaded" else { return nil }
    let state = facts["ActiveState"] ?? "unknown"
    let words =
      "\(unit) is \(state), \(facts["UnitFileState"] ?? "unknown"), restarted \(facts["NRestarts"] ?? "0") times"
    var found: [Diagnosis] = []
    if state == "failed" {
      found.append(.fail("unit", words, remedy: "journalctl -u \(unit) -n 50, then systemctl restart \(unit)"))
    } else if facts["UnitFileState"] == "disabled" {
      found.append(
        .warn("unit", words, meaning: "it does not start with the machine", remedy: "systemctl enable \(unit)"))
    } else {
      found.append(.ok("unit", words))
    }
    if let timers = ask(["list-timers", "ephemeral-*", "--all", "--no-legend", "--plain"]) {
      let lines = timers.split(separator: "\n")
      if !lines.isEmpty { found.append(.ok("timers", Shown.count(UInt64(lines.count), "timer"))) }
    }
    return found
  }

  private static func ask(_ arguments: [String]) -> String? {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/systemctl")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return process.terminationStatus == 0 ? String(decoding: bytes, as: UTF8.self) : nil
  }
}
