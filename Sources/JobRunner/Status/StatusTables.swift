import Queue

/// The tables of the status page.
struct StatusTables {
  let snapshot: StatusSnapshot
  let nowMs: Int64

  /// Rows of one table; what is more is counted.
  private static let rowLimit = 50

  // MARK: Totals

  /// The figures that an operator looks at first.
  var tiles: HTMLText {
    let dead = total(.dead)
    let oldest = snapshot.queues.compactMap(\.oldestReadyMs).min()
    let wait = oldest.map { StatusWords.duration(milliseconds: nowMs - $0) } ?? "–"
    let figures = [
      tile(StatusWords.count(total(.ready)), "ready"), tile(StatusWords.count(total(.running)), "running"),
      tile(StatusWords.count(total(.retryWait)), "to be retried"),
      tile(StatusWords.count(dead), "dead", isAlarm: dead > 0), tile(StatusWords.count(total(.finished)), "finished"),
      tile(wait, "oldest ready waits"),
    ]
    return "<ul class=\"tiles\">\(figures)</ul>"
  }

  private func tile(_ value: String, _ label: String, isAlarm: Bool = false) -> HTMLText {
    "<li class=\"\(isAlarm ? "alarm" : "calm")\"><b>\(value)</b><span>\(label)</span></li>"
  }

  private func total(_ state: JobState) -> Int64 {
    snapshot.queues.reduce(0) { $0 + ($1.jobs[state.rawValue] ?? 0) }
  }

  // MARK: Tables

  var queues: HTMLText {
    let states: [(state: JobState, head: Head)] = [
      (.held, Head("Held", .numberIfWide)), (.ready, Head("Ready", .number)), (.running, Head("Running", .number)),
      (.retryWait, Head("Retry", .number)), (.finished, Head("Finished", .numberIfWide)),
      (.cancelled, Head("Cancelled", .numberIfWide)), (.dead, Head("Dead", .number)),
    ]
    let heads = [Head("Queue")] + states.map(\.head) + [Head("Oldest ready since", .ifWide)]
    return table("Queues", "jobs by state", heads, snapshot.queues, none: "No job has come yet.") { line in
      let paused: HTMLText = line.isPaused ? " <span class=\"pill warn\">paused</span>" : ""
      let counts = states.map { state, head -> HTMLText in
        let count = line.jobs[state.rawValue] ?? 0
        let tone = count == 0 ? "zero" : state == .dead ? "alarm" : "some"
        return "<td class=\"\(head.place.rawValue) \(tone)\">\(StatusWords.count(count))</td>"
      }
      return """
        <th scope="row">\(line.queue)\(paused)</th>\(counts)\
        <td class="wide">\(StatusWords.moment(line.oldestReadyMs, now: nowMs))</td>
        """
    }
  }

  var workers: HTMLText {
    let heads = [Head("Worker"), Head("State"), Head("Since"), Head("Image (PCR0)", .ifWide)]
    return table("Workers", "", heads, snapshot.workers, none: "No worker is configured.") { line in
      let tone = line.isReady ? (line.state == "busy" ? "busy" : "good") : "bad"
      let reason: HTMLText = line.reason.map { "<span class=\"note\">\($0)</span>" } ?? ""
      return """
        <th scope="row" class="mono">\(line.worker)</th><td><span class="pill \(tone)">\(line.state.replacing("_", with: " "))</span>\(reason)</td>\
        <td>\(StatusWords.moment(line.sinceMs, now: nowMs))</td>\
        <td class="wide mono">\(line.image ?? "–")</td>
        """
    }
  }

  var schedules: HTMLText {
    let heads = [
      Head("Schedule"), Head("Queue", .ifWide), Head("Next run"), Head("Last run"), Head("Its jobs", .numberIfWide),
    ]
    return table("Schedules", "", heads, snapshot.schedules, none: "No schedule is configured.") { line in
      let paused: HTMLText = line.isPaused ? " <span class=\"pill warn\">paused</span>" : ""
      let summary: HTMLText = line.summary.map { "<span class=\"note\">\($0)</span>" } ?? ""
      let last: HTMLText =
        line.lastRun.map { run in
          """
          \(StatusWords.moment(run.nominalMs, now: nowMs)) \
          <span class="pill \(Self.tone(ofRun: run.status))">\(run.status)</span>
          """
        } ?? "<span class=\"none\">–</span>"
      let members = line.lastRun.map { StatusWords.count($0.members) } ?? "–"
      return """
        <th scope="row">\(line.schedule)\(paused)\(summary)</th><td class="wide">\(line.queue)</td>\
        <td>\(StatusWords.moment(line.nextMs, now: nowMs))</td><td>\(last)</td><td class="number wide">\(members)</td>
        """
    }
  }

  var receipts: HTMLText {
    let heads = [
      Head("Job"), Head("Queue", .ifWide), Head("Outcome"), Head("Ended"), Head("Attempts", .numberIfWide),
      Head("Bundle, at most", .numberIfWide),
    ]
    return table(
      "Last receipts", "the host's word; the proof is in the receipt", heads, snapshot.receipts,
      none: "No job has ended yet."
    ) { line in
      """
      <th scope="row" class="mono">\(line.job)…</th><td class="wide">\(line.queue)</td>\
      <td><span class="pill \(Self.tone(ofOutcome: line.outcome))">\(line.outcome)</span></td>\
      <td>\(StatusWords.moment(line.finishedMs, now: nowMs))</td><td class="number wide">\(line.attempts)</td>\
      <td class="number wide">\(StatusWords.size(line.bundleBytesUpTo))</td>
      """
    }
  }

  private static func tone(ofRun status: String) -> String {
    switch status {
    case "completed": "good"
    case "running": "busy"
    case "no bundle", "unknown", "not on record": "plain"
    case "partial": "warn"
    default: status.hasPrefix("skipped") ? "warn" : "bad"
    }
  }

  private static func tone(ofOutcome outcome: String) -> String {
    switch outcome {
    case "completed": "good"
    case "partial": "warn"
    case "cancelled": "plain"
    default: "bad"
    }
  }

  // MARK: Parts

  private struct Head {
    /// Classes of a column: its alignment, and whether a narrow window goes without it.
    enum Place: String {
      case word, number
      case ifWide = "wide"
      case numberIfWide = "number wide"
    }

    let title: String
    let place: Place
    init(_ title: String, _ place: Place = .word) { (self.title, self.place) = (title, place) }
  }

  private func table<Row>(
    _ caption: String, _ note: String, _ heads: [Head], _ rows: [Row], none: String, _ cells: (Row) -> HTMLText
  ) -> HTMLText {
    let titles = heads.map { head -> HTMLText in
      "<th scope=\"col\" class=\"\(head.place.rawValue)\">\(head.title)</th>"
    }
    let shown = rows.prefix(Self.rowLimit).map { row -> HTMLText in "<tr>\(cells(row))</tr>\n" }
    let rest = rows.count - shown.count
    let subtitle: HTMLText = note.isEmpty ? "" : " <small>\(note)</small>"
    let empty: HTMLText = rows.isEmpty ? "<tr><td colspan=\"\(heads.count)\" class=\"none\">\(none)</td></tr>" : ""
    let more: HTMLText = rest > 0 ? "<tr><td colspan=\"\(heads.count)\" class=\"none\">and \(rest) more</td></tr>" : ""
    return """
      <section><table>
      <caption>\(caption)\(subtitle)</caption>
      <thead><tr>\(titles)</tr></thead>
      <tbody>
      \(shown)\(empty)\(more)</tbody>
      </table></section>
      """
  }
}
