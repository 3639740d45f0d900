import Foundation
import TestSupport
import Testing

@testable import JobRunner

@Suite("The status page")
struct StatusPageTests {
  private func page(_ snapshot: StatusSnapshot?, pulses: [LoopPulse] = []) -> String {
    StatusPage(
      snapshot: snapshot, readiness: snapshot?.readiness ?? Readiness([.init("figures", fault: "starting")]),
      health: HealthReport(pulses), nowMs: 1_800_000_000_000
    ).html.markup
  }

  @Test(
    "Hostile names end up as text: no element and no attribute comes from one",
    arguments: [
      "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "</title></style>",
      "<!--", "&lt;", "]]>", "javascript:alert(1)", "\u{202E}gpj.exe", "\u{0}\u{1b}[2J", "</table></section>",
      "\u{2028}\u{2029}", String(repeating: "<b>", count: 10_000),
    ])
  func hostile(_ name: String) {
    let clean = page(.sample(name: "name", takenMs: 1_800_000_000_000))
    let dirty = page(.sample(name: name, ready: false, takenMs: 1_800_000_000_000))
    for element in ["<script", "<img", "<svg", "<iframe", "<b>", "<!--", "onerror=\"", "javascript:alert(1)\""] {
      let known = clean.components(separatedBy: element).count
      #expect(element == "<b>" ? dirty.components(separatedBy: element).count == known : !dirty.contains(element))
    }
    #expect(dirty.components(separatedBy: "</style>").count == 2)
    #expect(dirty.components(separatedBy: "</title>").count == 2)
    #expect(dirty.components(separatedBy: "</table>").count == clean.components(separatedBy: "</table>").count)
    let controls = dirty.unicodeScalars.filter { $0 != "\n" && $0.properties.generalCategory == .control }
    #expect(controls.isEmpty && !dirty.unicodeScalars.contains("\u{202E}"))
    #expect(dirty.utf8.count < 200_000)
  }

  @Test("It loads nothing: no script, no address of another place, and the content policy's digest is the sheet's")
  func loadsNothing() throws {
    let page = page(.sample())
    for word in ["<script", "src=", "@import", "url(", "http://", "https://", "style=\""] {
      #expect(!page.contains(word))
    }
    #expect(page.contains("<style>\(StatusStyle.css)</style>"))
    #expect(!StatusStyle.css.contains("<"))
    let openssl = URL(filePath: "/usr/bin/openssl")
    guard FileManager.default.fileExists(atPath: openssl.path) else { return }
    let digest = try Theatre.run(openssl, ["dgst", "-sha256", "-r"], input: StatusStyle.css).succeed().prefix(64)
    let named = try #require(Data(base64Encoded: String(StatusStyle.source.dropFirst(8).dropLast())))
    #expect(named.map { String(format: "%02x", $0) }.joined() == digest)
  }

  @Test("Tables have captions and scopes, the page a language and a title that says how things are")
  func accessible() {
    let page = page(.sample())
    let tables = page.components(separatedBy: "<table>").count - 1
    #expect(tables == 4 && page.components(separatedBy: "<caption>").count - 1 == tables)
    #expect(page.components(separatedBy: "<th ").count == page.components(separatedBy: "<th scope=").count)
    #expect(page.contains("<html lang=\"en\">") && page.contains("<title>Ready – EphemeralML daemon</title>"))
    #expect(self.page(.sample(ready: false)).contains("<title>Not ready – EphemeralML daemon</title>"))
    #expect(self.page(nil).contains("The daemon is starting"))
  }

  @Test("What is not production says so on top, and jobs go by a short name and a coarse size")
  func coarse() {
    var snapshot = StatusSnapshot.sample(takenMs: 1_800_000_000_000)
    let page = page(snapshot)
    #expect(page.contains("DEVELOPMENT: the evidence comes from a local stand-in"))
    #expect(page.contains("abababababab…") && !page.contains("ababababababab"))
    #expect(page.contains("128 KiB") && !page.contains("100000"))
    snapshot.workers[0].evidence = "production"
    #expect(!self.page(snapshot).contains("DEVELOPMENT"))
    snapshot.workers[0].evidence = "emulated"
    #expect(self.page(snapshot).contains("EMULATED: the evidence is unsigned"))
    for (bytes, coarse) in [(0, 1024), (1024, 1024), (1025, 2048), (100_000, 131_072), (Int64.max, 1 << 62)] {
      #expect(ReceiptLine.coarse(Int64(bytes)) == Int64(coarse))
    }
  }

  @Test("Long lists end, and say how much more there is")
  func bounded() {
    var snapshot = StatusSnapshot.sample()
    snapshot.queues = (0..<500).map { QueueLine(queue: "q\($0)", isPaused: false, jobs: [:]) }
    let page = page(snapshot)
    #expect(page.contains("and 450 more") && page.utf8.count < 100_000)
    let receipts = RecentReceipts()
    for index in 0..<100 {
      var line = StatusSnapshot.sample().receipts[0]
      line.job = "\(index)"
      line.finishedMs = Int64(index)
      receipts.add(line)
    }
    #expect(receipts.all.count == RecentReceipts.limit && receipts.all.first?.job == "99")
  }

  @Test(
    "Durations in words",
    arguments: [
      (0, "0 s"), (89_999, "89 s"), (90_000, "1 min"), (3_600_000, "60 min"), (7_500_000, "2 h 5 min"),
      (172_800_000, "2 d"), (180_000_000, "2 d 2 h"), (-5, "0 s"),
    ] as [(Int64, String)])
  func durations(_ milliseconds: Int64, _ words: String) {
    #expect(StatusWords.duration(milliseconds: milliseconds) == words)
  }
}
