import CProcess
import Foundation
import Glibc

/// A program in a process group of its own, started without a shell, that inherits nothing but what it is given: no
/// descriptor, no signal mask, no environment. Standard input is empty; both outputs come through one pipe.
final class ChildProcess: Sendable {
  let pid: Int32
  /// The read end, which is the caller's to close.
  let output: Int32

  /// - Throws: ``CannotStart`` with the system's reason.
  init(_ command: StartCommand) throws {
    let environment = ["PATH": "/usr/local/bin:/usr/bin:/bin"].merging(command.environment) { $1 }
    let argv = command.arguments.map { strdup($0) } + [nil]
    let envp = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { (argv + envp).forEach { free($0) } }
    var pid: pid_t = 0
    var output: Int32 = -1
    let code = cprocess_spawn(command.arguments[0], argv, envp, command.folder, &pid, &output)
    guard code == 0 else { throw CannotStart("\(command.arguments[0]): \(String(cString: strerror(code)))") }
    self.pid = pid
    self.output = output
  }

  /// Signals the whole group; nothing when it is gone.
  func signal(_ number: Int32) { kill(-pid, number) }

  /// How it ended, in words; nil while it runs. After the first answer the process id is another's to use.
  func ended() -> String? {
    var word: Int32 = 0
    guard waitpid(pid, &word, WNOHANG) == pid else { return nil }
    return word & 0x7f == 0 ? "exit \(word >> 8 & 0xff)" : "signal \(word & 0x7f)"
  }
}
