import Queue
import Wire

/// The inbox as the real ``IntakeDriver`` sees it: pages of a listing that may lag, fail, or be the daemon's last act.
struct SimulatedInbox: InboxReader {
  let world: World
  let process: DaemonProcess

  func listInbox(after: String?) throws -> (objects: [InboxObject], next: String?) {
    try world.request(.listInbox, of: process) {
      let visible = world.shelf.inbox.filter { $0.key > after ?? "" && $0.visibleAt <= world.trueNow }
      if visible.count < world.shelf.inbox.count(where: { $0.key > after ?? "" }) { world.count("listing that lags") }
      let page = visible.prefix(5)
      let next = page.count < visible.count ? page.last?.key : nil
      return (page.map { InboxObject(key: $0.key, bytes: $0.bytes) }, next)
    }
  }

  func examineCancel(_ statement: ContentDigest) -> CancelExamination {
    do {
      return try world.request(.examineCancel, of: process) {
        guard let job = world.shelf.cancels[statement] ?? nil else { return .invalid }
        return .valid(job)
      }
    } catch {
      return .unavailable
    }
  }
}
