import Testing

/// The programs as people use them, every part a process of its own; one after another, since they share a worker.
@Suite("End to end", .serialized)
struct EndToEnd {}
