import Wire

/// What a sync shall do.
package struct SyncRequest: Sendable {
  /// The folder of documents, as it was named.
  package var folder: String
  /// Queue, stream, model, operation, recipients and how long the jobs are valid.
  package var submission: SubmissionRequest
  /// Everything again, whatever was sent before.
  package var forceAll = false
  /// Send no job when nothing changed.
  package var skipsEmpty = false
  /// Send the documents of jobs that ended without results again.
  package var retriesLost = false
  /// The folder may have lost every document that is known.
  package var mayBeEmpty = false
  /// The folder stands in the place of another one.
  package var isMoved = false
  /// Leave documents alone that were written to within so many seconds.
  package var quietSeconds: UInt64 = 0
  /// How long to wait for another sync of the stream.
  package var lockWaitMs: UInt64 = 0
  /// Where the results of earlier jobs go; nil fetches none.
  package var fetchFolder: String?
  package var fetchFormat = ResultsFormat.jsonl
  /// Look, and seal, upload and record nothing.
  package var isDryRun = false

  package init(folder: String, submission: SubmissionRequest) {
    self.folder = folder
    self.submission = submission
  }

  var stream: String { submission.stream ?? submission.queue }
}

/// What a sync tells while it works.
package enum SyncEvent {
  /// A job that an earlier command had sealed is in the store now.
  case uploadedPending(LedgerEntry)
  /// One that could not be brought there, and stays sealed here.
  case refusedPending(LedgerEntry, ClientError)
  /// An earlier job of the stream.
  case earlier(EarlierNight)
  /// Results of an earlier job that could not be fetched, and why.
  case notFetched(EarlierNight, reason: String)
  /// A document and what is done with it; why, where it is left out.
  case document(path: String, DocumentChange, reason: String?)
  /// Documents read so far.
  case reading(UInt64)
  /// What stands before sealing a job was verified.
  case prepared(PreparedSubmission)
  /// A job is in the ledger.
  case sealed(LedgerEntry, documents: UInt64)
  /// Bytes of it that are in the store.
  case uploading(UInt64, of: UInt64)
  /// All of it is.
  case uploaded(LedgerEntry)
}

/// What a sync came to.
package struct SyncSummary: Sendable {
  /// Documents by what was done with them.
  package internal(set) var counts: [DocumentChange: UInt64] = [:]
  package internal(set) var unchanged: UInt64 = 0
  /// Names that no folder of documents hands out: hidden, no text, and so on.
  package internal(set) var skipped = SkippedInput()
  /// Jobs that were sealed and uploaded.
  package internal(set) var jobs: [LedgerEntry] = []
  /// Earlier jobs that an earlier command had sealed, uploaded now.
  package internal(set) var uploadedPending = 0
  package internal(set) var earlier: [EarlierNight] = []
  /// Results that could not be fetched.
  package internal(set) var unfetched = 0

  package func count(_ change: DocumentChange) -> UInt64 { counts[change, default: 0] }

  /// Earlier jobs without results for good whose documents no later job has.
  package var lost: [EarlierNight] { earlier.filter { $0.isLost && !$0.entry.isRetried } }

  /// Earlier jobs whose receipt does not verify.
  package var invalid: [EarlierNight] {
    earlier.filter { if case .invalid = $0.standing { true } else { false } }
  }

  /// Whether somebody should look: a document was left out, or an earlier job is not what it should be.
  package var needsLook: Bool {
    count(.unsettled) > 0 || count(.refused) > 0 || !lost.isEmpty || unfetched > 0
      || earlier.contains { !$0.isOld && $0.hasFailedItems }
  }
}

extension EarlierNight {
  /// Whether its receipt says that items have no result.
  var hasFailedItems: Bool {
    if case .settled(let job) = standing { job.failedItems > 0 } else { false }
  }
}
