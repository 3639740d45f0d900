import Foundation
import TestSupport
import Testing

/// What `make install` puts where, and what `make uninstall` takes away: without root, by a list, and nothing else.
@Suite(.timeLimit(.minutes(5))) struct InstallTests {
  @Test func aClientIsInstalledWithManualAndCompletionsAndLeavesNothingBehind() throws {
    let target = try Installation()
    #expect(try target.install().status == 0)
    let files = try target.files()
    for (name, mode) in [
      ("bin/ephemeral", 0o755), ("share/man/man1/ephemeral.1", 0o644), ("share/man/man1/ephemeral-submit.1", 0o644),
      ("share/bash-completion/completions/ephemeral", 0o644), ("share/zsh/site-functions/_ephemeral", 0o644),
      ("share/fish/vendor_completions.d/ephemeral.fish", 0o644), ("share/doc/ephemeral/LICENSE", 0o644),
    ] {
      #expect(files["usr/local/\(name)"] == mode, "\(name)")
    }
    #expect(!files.keys.contains { $0.contains("systemd/system") }, "a client has no units of the system")
    let shown = try target.theatre.run(URL(filePath: target.path("bin/ephemeral")), ["--version"])
    #expect(shown.output.wholeMatch(of: /ephemeral \d+\.\d+\.\d+ \(commit [0-9a-z+, -]+\)\n/) != nil, "\(shown.output)")

    #expect(try target.uninstall().status == 0)
    #expect(try target.files().isEmpty)
  }

  @Test func aHostGetsUnitsThatNameItsOwnPrograms() throws {
    let target = try Installation()
    #expect(try target.install("host").status == 0)
    let unit = try String(contentsOfFile: target.path("lib/systemd/system/ephemeral-daemon.service"), encoding: .utf8)
    #expect(unit.contains("ExecStart=/usr/local/bin/ephemeral daemon run"))
    let files = try target.files()
    for (name, mode) in files where name.hasPrefix("usr/local/lib") {
      let text = try String(contentsOfFile: "\(target.destination)/\(name)", encoding: .utf8)
      #expect(!text.contains("/opt/ephemeral"), "\(name)")
      #expect(mode == (name.hasPrefix("usr/local/lib/ephemeral/") ? 0o755 : 0o644), "\(name)")
    }
    #expect(files["usr/local/lib/sysusers.d/ephemeral.conf"] != nil)
    #expect(files["usr/local/lib/tmpfiles.d/ephemeral.conf"] != nil)
  }

  @Test func aSecondInstallationChangesNoFile() throws {
    let target = try Installation()
    try target.install("host")
    let program = target.path("bin/ephemeral")
    let before = try FileManager.default.attributesOfItem(atPath: program)[.systemFileNumber] as? NSNumber
    let files = try target.files()
    #expect(try target.install("host").status == 0)
    #expect(try target.files() == files)
    #expect(try FileManager.default.attributesOfItem(atPath: program)[.systemFileNumber] as? NSNumber == before)
  }

  @Test func whatOnlyTheOlderVersionHadGoesAway() throws {
    let target = try Installation()
    try target.install("host")
    #expect(try target.install("client").status == 0)
    #expect(!(try target.files().keys.contains { $0.contains("systemd/system") }))
    #expect(target.exists(target.path("bin/ephemeral")))
  }

  @Test func somebodyElsesFileOfTheSameNameStaysAndNothingIsInstalled() throws {
    let target = try Installation()
    try target.write(target.path("bin/ephemeral"), "#!/bin/sh\necho another program\n")
    let finished = try target.install()
    #expect(finished.status == 1)
    #expect(finished.errors.contains("bin/ephemeral is there and was not installed by this"))
    #expect(try target.files().count == 1)
  }

  @Test func nothingIsInstalledWhereTheProgramIsMissing() throws {
    let target = try Installation()
    let finished = try target.install(program: URL(filePath: target.theatre.path("nowhere/ephemeral")))
    #expect(finished.status == 1 && finished.errors.contains("make build-install"))
    #expect(try target.files().isEmpty)
  }

  @Test(arguments: ["relative", "/a/../b", "/with space", "/a&b", "/a#b", "/a'b"])
  func aPrefixThatCannotBeIsRefused(_ prefix: String) throws {
    let target = try Installation()
    let settings = ["PREFIX": prefix, "BIN": target.theatre.ephemeral.deletingLastPathComponent().path]
    #expect(try target.script("install.sh", settings).status == 64)
    #expect(try target.files().isEmpty)
  }
}
