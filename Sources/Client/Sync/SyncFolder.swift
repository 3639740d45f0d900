import Crypto
import Glibc
import Inference
import Wire

/// What a sync does with one document.
package enum DocumentChange: String, Sendable, CaseIterable {
  case new
  case changed
  /// It was sent once and is not in the folder any more.
  case gone
  /// It changed while it was read: the next sync takes it.
  case unsettled
  /// It is too large, or the model cannot read it; each sync says so.
  case refused
}

/// A folder of documents against what is known of it, by names and stamps alone.
struct SyncFolder {
  /// A document that has to be read.
  struct Candidate {
    let path: String
    let known: SyncedDocument?
  }

  /// What a look at the names found.
  struct Survey {
    /// To be read, in order.
    var candidates: [Candidate] = []
    /// Known and not there any more, in order.
    var gone: [String] = []
    var unchanged: UInt64 = 0
    /// Regular files seen.
    var files: UInt64 = 0
    var skipped = SkippedInput()
  }

  /// What reading one document gave.
  enum Reading {
    case text([UInt8], DocumentStamp)
    /// No document, by the rules for folders.
    case left(String)
    case unsettled
  }

  let path: String
  /// Called between reading a document and looking at it again, for tests.
  var afterReading: (String) -> Void = { _ in }

  /// Visits all names. A file whose size, times and inode are those of the document that was sent is taken for it.
  func survey(_ known: [String: SyncedDocument]) throws -> Survey {
    var survey = Survey()
    var left: Set<String> = []
    var seen: Set<String> = []
    try TextFolder(path: path).forEachFile(leftOut: { path, reason in
      survey.skipped.add(path, reason)
      left.insert(path)
    }) { path, status in
      survey.files += 1
      if let document = known[path] {
        seen.insert(path)
        if document.stamp == DocumentStamp(status) {
          survey.unchanged += 1
          return
        }
      }
      survey.candidates.append(Candidate(path: path, known: known[path]))
    }
    // Below a folder that cannot be read nobody knows what is gone.
    survey.gone = known.keys.filter { !seen.contains($0) && !Self.isBelow($0, left) }.sorted()
    return survey
  }

  private static func isBelow(_ path: String, _ left: Set<String>) -> Bool {
    guard !left.isEmpty else { return false }
    var prefix = Substring(path)
    while true {
      if left.contains(String(prefix)) { return true }
      guard let slash = prefix.lastIndex(of: "/") else { return false }
      prefix = prefix[..<slash]
    }
  }

  /// Reads one document, and sees whether somebody wrote to it meanwhile.
  func read(_ document: String) throws -> Reading {
    guard let file = try TextFile(path: "\(path)/\(document)") else { return .left("cannot be read") }
    let before = try file.stamp()
    let content = try file.content()
    afterReading(document)
    guard try file.stamp() == before else { return .unsettled }
    switch content {
    case .left(let reason): return .left(reason)
    case .text(let bytes): return .text(bytes, before)
    }
  }
}

extension DocumentStamp {
  /// The stamp to remember for what was read then. Within the coarseness of file times a later write could bear the same
  /// stamp, so a fresh one is remembered as one that no file has, and the next sync reads the document again.
  func settled(readAtNs: UInt64) -> DocumentStamp {
    let coarseNs: UInt64 = 2_000_000_000
    var stamp = self
    if max(modifiedNs, changedNs) &+ coarseNs > readAtNs { stamp.changedNs = 0 }
    return stamp
  }
}
