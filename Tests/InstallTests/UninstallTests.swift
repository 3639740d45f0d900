import Foundation
import TestSupport
import Testing

/// The list of installed files is a file like any other: who can edit it must not delete through it what is not ours.
@Suite(.timeLimit(.minutes(5))) struct UninstallTests {
  private let digest = String(repeating: "a", count: 64)

  /// SHA-256 of a file as the list has it.
  private func sum(_ target: Installation, _ path: String) throws -> String {
    String(try target.theatre.succeed(URL(filePath: "/usr/bin/sha256sum"), [path]).prefix(64))
  }

  @Test func anEditedListDeletesNothingOutsideOfThePrefixAndNoForeignFile() throws {
    let target = try Installation()
    try target.install()
    let outside = "\(target.destination)/etc/passwd"
    let foreign = target.path("bin/other")
    let linked = "\(target.destination)/elsewhere/ephemeral-x.service"
    for path in [outside, foreign, linked] { try target.write(path, "precious\n") }
    // A folder of an honest name that leads out of the prefix.
    try FileManager.default.createDirectory(atPath: target.path("lib/systemd"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: target.path("lib/systemd/system"), withDestinationPath: "\(target.destination)/elsewhere")
    let sum = try sum(target, outside)
    let lines = [
      "\(sum)  ../../etc/passwd", "\(sum)  share/doc/ephemeral/../../../../../etc/passwd", "\(sum)  \(outside)",
      "\(sum)  bin/other", "\(sum)  lib/systemd/system/ephemeral-x.service", "\(digest)  ", "no line", "\(sum)  .",
      "\(sum)  bin/ephemeral\u{1}", "\(sum)  share/doc/ephemeral", "\(sum)  -rf", "$(touch \(target.destination)/ran)",
    ]
    let honest = try String(contentsOfFile: target.manifest, encoding: .utf8)
    try (lines.joined(separator: "\n") + "\n" + honest).write(
      toFile: target.manifest, atomically: true, encoding: .utf8)

    let finished = try target.uninstall()
    #expect(finished.status == 1)
    for path in [outside, foreign, linked] { #expect(target.exists(path), "\(path)") }
    #expect(!target.exists("\(target.destination)/ran"))
    #expect(!target.exists(target.path("bin/ephemeral")), "what is ours went all the same")
    #expect(target.exists(target.manifest), "the list stays for somebody to look at")
    #expect(finished.errors.contains("the list has"))
  }

  @Test func aFileThatWasChangedStaysAndIsNamed() throws {
    let target = try Installation()
    try target.install("host")
    let unit = target.path("lib/systemd/system/ephemeral-daemon.service")
    try target.write(unit, "[Service]\n# mine now\n")
    let finished = try target.uninstall()
    #expect(finished.status == 0 && finished.output.contains("kept    \(unit)"))
    #expect(try target.files().count == 1)
  }

  @Test func settingsAndQueueStayUnlessPurgeIsAsked() throws {
    let target = try Installation()
    try target.install("host")
    let kept = ["etc/ephemeral/daemon.env", "var/lib/ephemeral/queue.sqlite", "var/log/ephemeral/daemon.log"]
    for name in kept { try target.write("\(target.destination)/\(name)", "kept\n") }
    #expect(try target.uninstall().status == 0)
    #expect(Set(try target.files().keys) == Set(kept))
    #expect(try target.uninstall(purge: true).status == 0)
    #expect(try target.files().isEmpty)
  }

  @Test func aPurgeFollowsNoSymbolicLink() throws {
    let target = try Installation()
    try target.install("host")
    try target.write("\(target.destination)/home/data", "precious\n")
    try FileManager.default.createDirectory(atPath: "\(target.destination)/etc", withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: "\(target.destination)/etc/ephemeral", withDestinationPath: "\(target.destination)/home")
    #expect(try target.uninstall(purge: true).status == 1)
    #expect(target.exists("\(target.destination)/home/data"))
  }

  @Test func withoutAListNothingIsRemoved() throws {
    let target = try Installation()
    try target.write(target.path("bin/ephemeral"), "somebody else's\n")
    #expect(try target.uninstall().status == 10)
    #expect(target.exists(target.path("bin/ephemeral")))
  }
}
