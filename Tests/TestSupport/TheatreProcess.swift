import Foundation
import Glibc

/// What went wrong on the stage, with the tail of a log where there is one.
package struct TheatreError: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// One real program, started by this process, ended by its process id alone.
///
/// Standard input is empty unless given; output goes to files, so that no pipe can fill up and nothing of the test run
/// is held open.
package final class TheatreProcess: @unchecked Sendable {
  package let pid: Int32
  /// What the program is called, for errors.
  package let name: String
  private let outPath: String
  private let errorPath: String
  private let lock = NSLock()
  private var status: Int32?

  /// Starts `executable`.
  ///
  /// - Parameters:
  ///   - environment: all of it; nothing is inherited.
  ///   - logs: path without extension; `.out` and `.err` are appended.
  package init(
    _ executable: URL, _ arguments: [String], environment: [String: String], directory: String, logs: String,
    input: String? = nil
  ) throws {
    name = executable.lastPathComponent
    outPath = logs + ".out"
    errorPath = logs + ".err"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, input ?? "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    // A socket of another test that lived on in this program would never seem closed to its peer.
    guard Self.closeFrom?(&actions, 3) == 0 else { throw TheatreError("posix_spawn cannot close descriptors") }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The test runner blocks or ignores what it likes; a program starts with a clean slate.
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    // The shell sets the directory and then becomes the program, so that process id and arguments are the program's.
    let command = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", directory, executable.path] + arguments
    let argv = command.map { strdup($0) } + [nil]
    let envp = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { (argv + envp).forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv, envp)
    guard code == 0 else { throw TheatreError("\(executable.path): \(String(cString: strerror(code)))") }
    self.pid = pid
  }

  /// glibc's `posix_spawn_file_actions_addclosefrom_np`, which its header hides from Swift.
  private static let closeFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
    unsafeBitCast(
      $0, to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)
  }

  /// Standard output so far.
  package var output: String { (try? String(contentsOfFile: outPath, encoding: .utf8)) ?? "" }
  /// Standard error so far.
  package var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }
  /// Whether it still runs.
  package var isAlive: Bool { reaped() == nil }

  /// Sends a signal, unless the process is gone.
  package func signal(_ number: Int32) {
    lock.lock()
    defer { lock.unlock() }
    if status == nil { kill(pid, number) }
  }

  /// Waits for its end.
  ///
  /// - Returns: the exit code, or 128 and the signal's number.
  /// - Throws: ``TheatreError`` when it is not over after `seconds`; the process is then killed.
  @discardableResult
  package func wait(seconds: Double = 150) throws -> Int32 {
    let limit = Date(timeIntervalSinceNow: seconds)
    while true {
      if let status = reaped() { return status }
      guard Date() < limit else {
        signal(SIGKILL)
        while reaped() == nil { usleep(2000) }
        throw TheatreError("\(name) did not end within \(seconds) s\n\(tail)")
      }
      usleep(2000)
    }
  }

  /// SIGTERM, then SIGKILL.
  package func stop() {
    signal(SIGTERM)
    _ = try? wait(seconds: 30)
  }

  /// SIGKILL, and waits until the kernel is done with it.
  package func murder() {
    signal(SIGKILL)
    _ = try? wait(seconds: 30)
  }

  /// Waits until a line of its output begins with `start`.
  package func waitForLine(_ start: String, seconds: Double = 150) throws {
    let limit = Date(timeIntervalSinceNow: seconds)
    while !output.split(separator: "\n").contains(where: { $0.hasPrefix(start) }) {
      guard isAlive else { throw TheatreError("\(name) ended before it said \"\(start)\"\n\(tail)") }
      guard Date() < limit else { throw TheatreError("\(name) did not say \"\(start)\" in \(seconds) s\n\(tail)") }
      usleep(5000)
    }
  }

  /// The end of both logs, for errors.
  package var tail: String { "\(output.suffix(1500))\n\(errors.suffix(3000))" }

  private func reaped() -> Int32? {
    lock.lock()
    defer { lock.unlock() }
    if let status { return status }
    var word: Int32 = 0
    guard waitpid(pid, &word, WNOHANG) == pid else { return nil }
    status = word & 0x7f == 0 ? word >> 8 & 0xff : 128 + word & 0x7f
    return status
  }
}
