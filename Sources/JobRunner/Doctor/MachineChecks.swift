import CHost
import Foundation
import Glibc
import Queue

/// The machine itself: versions, clock, disk, and who may read the daemon's files.
struct MachineChecks {
  /// Nil where none is configured.
  let stateFolder: String?
  let socketPath: String?
  /// Files that the daemon reads, and what each is.
  let files: [(what: String, path: String, isSecret: Bool)]

  func examine() -> [Diagnosis] {
    var found = [versions(), clock()]
    guard let stateFolder else { return found }
    guard FileManager.default.fileExists(atPath: stateFolder) else {
      return found + [
        .warn(
          "state folder", "\(stateFolder) is not there", meaning: "the daemon makes it when it first starts",
          remedy: "check `state` if this machine has run a daemon before (ephemeral config show --daemon)")
      ]
    }
    found += [fileSystem(stateFolder), space(stateFolder), flush(stateFolder)]
    return found + permissions(stateFolder)
  }

  // MARK: Versions and clock

  private func versions() -> Diagnosis {
    let version = SQLiteLibrary.version
    let words = "ephemeral \(Version.full), SQLite \(version)"
    guard SQLiteLibrary.isEnough else {
      return .fail(
        "versions", words, meaning: "the queue's tables need SQLite 3.37",
        remedy: "install a newer libsqlite3 (apt-get install --only-upgrade libsqlite3-0)")
    }
    guard SQLiteLibrary.hasResetFault else { return .ok("versions", words) }
    return .ok(
      "versions", words,
      meaning:
        "up to 3.51.2 two connections can corrupt a WAL database; the daemon has one, so leave queue.sqlite to it "
        + "(no sqlite3, no cp while it runs: ephemeral db backup)")
  }

  private func clock() -> Diagnosis {
    var microseconds: Int64 = 0
    let isKept = chost_clock_is_kept(&microseconds)
    guard isKept >= 0 else { return .ok("clock", "the kernel does not say whether it is kept") }
    guard isKept == 1 else {
      return .warn(
        "clock", "the kernel says that nobody keeps the clock",
        meaning: "minutes of difference and S3, KMS and clients refuse this host",
        remedy: "timedatectl set-ntp true, or start chronyd")
    }
    return .ok("clock", "kept, within \(max(0, microseconds) / 1000) ms by its own estimate")
  }

  // MARK: The disk of the state folder

  private func fileSystem(_ folder: String) -> Diagnosis {
    var magic: UInt32 = 0
    guard chost_file_system(folder, &magic) == 0 else {
      return .fail("file system", "\(folder): \(Self.reason())", remedy: "look at the path and its permissions")
    }
    switch magic {
    case 0x6969, 0xFF53_4D42, 0xFE53_4D42:
      return .fail(
        "file system", "\(folder) lies on a network file system",
        meaning: "its locks do not keep two daemons apart, and a lost connection can cost the database",
        remedy: "move the state folder to a local disk (docs/operations/recovery.md)")
    case 0x0102_1994:
      return .warn(
        "file system", "\(folder) lies in memory (tmpfs)", meaning: "the queue is gone after a reboot",
        remedy: "move the state folder to a disk (docs/operations/recovery.md)")
    default: return .ok("file system", "local")
    }
  }

  private func space(_ folder: String) -> Diagnosis {
    var disk = statvfs()
    guard statvfs(folder, &disk) == 0 else {
      return .fail("disk space", "\(folder): \(Self.reason())", remedy: "look at the path and its permissions")
    }
    let free = UInt64(disk.f_bavail) &* UInt64(disk.f_frsize)
    let words = "\(Shown.bytes(free)) free in \(folder)"
    let remedy = "free space there, or move the state folder; `ephemeral queue prune` removes old rows"
    if free < 100 << 20 {
      return .fail("disk space", words, meaning: "soon no job can be taken in or finished", remedy: remedy)
    }
    return free < 1 << 30
      ? .warn("disk space", words, meaning: "a backup needs as much as the database has", remedy: remedy)
      : .ok("disk space", words)
  }

  /// One small durable write, as each commit of the queue is one.
  private func flush(_ folder: String) -> Diagnosis {
    let path = "\(folder)/.doctor-\(getpid())"
    let descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      return .fail(
        "durable writes", "nothing can be written in \(folder): \(Self.reason())",
        meaning: "as the user who asks; the daemon may be another",
        remedy: "run the doctor as the daemon's user (sudo -u ephemeral ephemeral doctor …), or chown the folder")
    }
    defer {
      close(descriptor)
      unlink(path)
    }
    let begin = ContinuousClock.now
    let page = [UInt8](repeating: 0, count: 4096)
    for _ in 0..<5 {
      guard pwrite(descriptor, page, page.count, 0) == page.count, fsync(descriptor) == 0 else {
        return .fail(
          "durable writes", "\(folder): \(Self.reason())", meaning: "no job can be taken in or finished",
          remedy: "look at the disk (dmesg, df, quota)")
      }
    }
    let milliseconds = (ContinuousClock.now - begin).wholeMilliseconds / 5
    guard milliseconds <= 200 else {
      return .warn(
        "durable writes", "one takes \(milliseconds) ms", meaning: "each step of a job waits for one",
        remedy: "take a disk that flushes faster; look for others who write to it (iostat -x 1)")
    }
    return .ok("durable writes", "one takes \(milliseconds) ms")
  }

  // MARK: Permissions

  private func permissions(_ folder: String) -> [Diagnosis] {
    var found = [
      closed("state folder", folder, mode: 0o700),
      closed("database file", "\(folder)/\(StateFolder.database)", mode: 0o600),
    ].compactMap { $0 }
    if let socketPath, let diagnosis = closed("socket", socketPath, mode: 0o600) { found.append(diagnosis) }
    for file in files {
      guard access(file.path, R_OK) == 0 else {
        found.append(
          .fail(
            file.what, "\(file.path): \(Self.reason())",
            remedy: "let the daemon's user read it: chown ephemeral: \(file.path)"))
        continue
      }
      if file.isSecret {
        if let diagnosis = closed(file.what, file.path, mode: 0o600) { found.append(diagnosis) }
      } else if Self.mode(file.path) & 0o022 != 0 {
        found.append(
          .fail(
            file.what, "\(file.path) can be written by others", meaning: "whoever changes it steers the daemon",
            remedy: "chmod go-w \(file.path)"))
      } else {
        found.append(.ok(file.what, file.path))
      }
    }
    return found
  }

  /// Nil for what is not there.
  private func closed(_ what: String, _ path: String, mode wanted: mode_t) -> Diagnosis? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    let mode = status.st_mode & 0o777
    if mode & 0o077 != 0 {
      return .fail(
        what, "\(path) is open to others (mode \(String(mode, radix: 8)))",
        meaning: "whoever may use it sees or steers the host's queue",
        remedy: "chmod \(String(wanted, radix: 8)) \(path)")
    }
    if status.st_uid != geteuid(), geteuid() != 0 {
      return .warn(
        what, "\(path) belongs to another user (\(status.st_uid))", meaning: "checks as this user say less",
        remedy: "run the doctor as the daemon's user")
    }
    return .ok(what, "\(path), mode \(String(mode, radix: 8))")
  }

  private static func mode(_ path: String) -> mode_t {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
  }

  private static func reason() -> String { String(cString: strerror(errno)) }
}
