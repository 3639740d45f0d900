/// The page for an operator's browser: one HTML document without a script, an image or a request to anywhere.
struct StatusPage {
  let snapshot: StatusSnapshot?
  let readiness: Readiness
  let health: HealthReport
  let nowMs: Int64

  /// Seconds after which a browser asks again.
  private static let refreshSeconds = 15

  /// The document.
  var html: HTMLText {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="refresh" content="\(Self.refreshSeconds)">
    <title>\(title)</title>
    <style>\(style)</style>
    </head>
    <body><div class="frame">
    \(header)
    <main>
    \(banner)\(troubles)
    \(snapshot.map(content) ?? "<p>The daemon is starting; this page shows its figures in a few seconds.</p>")
    </main>
    \(footer)
    </div></body>
    </html>

    """
  }

  private var title: String { "\(stateWord) – EphemeralML daemon" }

  private var stateWord: String {
    if !health.isHealthy { return "Not healthy" }
    return readiness.isReady ? "Ready" : "Not ready"
  }

  /// The sheet has no `<`, and is this program's own.
  private var style: HTMLText { HTMLText(trusted: StatusStyle.css) }

  private var header: HTMLText {
    let tone = !health.isHealthy || !readiness.isReady ? "bad" : "good"
    return """
      <header>
      <h1>EphemeralML <span>daemon</span></h1>
      <span class="pill \(tone)" role="status">\(stateWord)</span>
      <span class="taken">\(taken)</span>
      </header>
      """
  }

  private var taken: HTMLText {
    guard let snapshot else { return "" }
    return "Figures of \(StatusWords.moment(snapshot.takenMs, now: nowMs)), in UTC as all times here"
  }

  /// Which classes of evidence other than production the workers' statuses pretend to.
  private var banner: HTMLText {
    let classes = Set((snapshot?.workers ?? []).compactMap(\.evidence))
    let words = EvidenceBanner.words(of: classes)
    guard !words.isEmpty else { return "" }
    return "<p class=\"notice warn\">\(words.map { word -> HTMLText in "<strong>\(word)</strong> " })</p>\n"
  }

  /// Why the daemon is not healthy or not ready.
  private var troubles: HTMLText {
    let reasons = health.reasons + readiness.reasons
    guard !reasons.isEmpty else { return "" }
    return """
      <div class="notice bad"><strong>\(stateWord), because:</strong>
      <ul>\(reasons.map { reason -> HTMLText in "<li>\(reason)</li>" })</ul></div>

      """
  }

  private func content(_ snapshot: StatusSnapshot) -> HTMLText {
    let tables = StatusTables(snapshot: snapshot, nowMs: nowMs)
    return """
      \(tables.tiles)
      \(facts(snapshot))
      \(tables.queues)
      \(tables.workers)
      \(tables.schedules)
      \(tables.receipts)
      """
  }

  private func facts(_ snapshot: StatusSnapshot) -> HTMLText {
    let about = snapshot.about
    let policy: HTMLText =
      snapshot.policy.map { policy in
        "version \(policy.version) <small>ends \(distance(policy.expiresMs))</small>"
      } ?? "<span class=\"none\">not known to the host</span>"
    let epoch: HTMLText =
      snapshot.epoch.map { epoch in "epoch \(epoch.number) <small>ends \(distance(epoch.untilMs))</small>" }
      ?? "<span class=\"none\">not known yet</span>"
    return """
      <dl class="facts">
      <div><dt>Version</dt><dd>\(about.version) <small>commit <span class="mono">\(about.commit)</span></small></dd></div>
      <div><dt>Running since</dt><dd>\(StatusWords.moment(about.startedMs, now: nowMs))</dd></div>
      <div><dt>Store</dt><dd class="mono">\(about.store)</dd></div>
      <div><dt>Policy in force</dt><dd>\(policy)</dd></div>
      <div><dt>Sealing key</dt><dd>\(epoch)</dd></div>
      </dl>
      """
  }

  /// `in 4 d` or `4 d ago`.
  private func distance(_ milliseconds: UInt64) -> HTMLText {
    let moment = Int64(clamping: milliseconds)
    let words = StatusWords.duration(milliseconds: abs(moment.subtractingReportingOverflow(nowMs).partialValue))
    return moment > nowMs ? "in \(words)" : "\(words) ago"
  }

  private var footer: HTMLText {
    return """
      <footer><p>This page is read-only and asks again every \(Self.refreshSeconds) s. It shows what the host knows:
      outcomes, times and coarse sizes, never content. The same for programs: <a href="/status.json">JSON</a>,
      <a href="/metrics">metrics</a>, <a href="/healthz">health</a>, <a href="/readyz">readiness</a>.</p></footer>
      """
  }
}
