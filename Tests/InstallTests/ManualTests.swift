import Foundation
import TestSupport
import Testing

/// The manual and the completions that the argument parser makes.
@Suite(.timeLimit(.minutes(5))) struct ManualTests {
  private static let groff = Need("groff", remedy: "`make deps` installs groff-base") {
    ["/usr/bin/groff"].map { URL(filePath: $0) }.first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }

  @Test(.enabled(if: groff.isMet, "\(groff.comment)"))
  func everyPageIsSetWithoutAWarningAndSaysWhatTheCommandTakes() throws {
    let theatre = try Theatre()
    let folder = try theatre.make("man")
    try theatre.succeed(Checkout.root.appending(path: "scripts/manual.py"), [theatre.ephemeral.path, folder])
    let pages = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(pages.count >= 20)
    for page in pages {
      let set = try theatre.run(try Self.groff.require(), ["-ww", "-man", "-Tutf8", "-P-cbou", "\(folder)/\(page)"])
      #expect(set.status == 0 && set.errors.isEmpty, "\(page): \(set.errors)")
      #expect(set.output.contains("NAME") && set.output.contains("SYNOPSIS") && set.output.contains("EXIT STATUS"))
    }
    let submit = try theatre.run(
      try Self.groff.require(), ["-man", "-Tutf8", "-P-cbou", "\(folder)/ephemeral-submit.1"])
    #expect(submit.output.contains("--dry-run") && submit.output.contains("ephemeral submit reports/ --wait"))
  }

  @Test func theSamePagesComeTwice() throws {
    let theatre = try Theatre()
    let script = Checkout.root.appending(path: "scripts/manual.py")
    for name in ["one", "two"] { try theatre.succeed(script, [theatre.ephemeral.path, theatre.path(name)]) }
    let same = try theatre.run(URL(filePath: "/usr/bin/diff"), ["-r", theatre.path("one"), theatre.path("two")])
    #expect(same.status == 0, "\(same.output)")
  }

  @Test func completionsAreScriptsThatBashReadsAndNothingIsSaidWhereThereIsNothingToOffer() throws {
    let theatre = try Theatre()
    try theatre.write("ephemeral", try theatre.succeed(theatre.ephemeral, ["--generate-completion-script", "bash"]))
    #expect(try theatre.run(URL(filePath: "/bin/bash"), ["-n", theatre.path("ephemeral")]).status == 0)
    for shell in ["zsh", "fish"] {
      #expect(try theatre.succeed(theatre.ephemeral, ["--generate-completion-script", shell]).contains("ephemeral"))
    }
    // As the shell asks: no home, no daemon, and not a word.
    let asked = try theatre.run(
      theatre.ephemeral, ["---completion", "status", "--", "positional@0", "2", "0", "ephemeral", "status", ""],
      environment: ["EPHEMERAL_HOME": theatre.path("home"), "SAP_SHELL": "bash"])
    #expect(asked.status == 0 && asked.output.trimmingCharacters(in: .whitespacesAndNewlines).isEmpty)
    #expect(asked.errors.isEmpty)
  }

  @Test func namesOfTrustProfilesAreOfferedFromTheHomeThatTheLineNames() throws {
    let theatre = try Theatre()
    let home = theatre.path("home")
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    try theatre.succeed(
      theatre.ephemeral, ["trust", "add", "prod", "--class", "production", "--policy-key", key, "--home", home])
    let line = ["ephemeral", "status", "--home", home, "--profile", ""]
    let asked = try theatre.run(
      theatre.ephemeral, ["---completion", "status", "--", "--profile", "5", "0"] + line,
      environment: ["SAP_SHELL": "bash"])
    #expect(asked.status == 0 && asked.output == "prod\n", "\(asked.output) \(asked.errors)")
  }
}
