import Foundation

// `make bench-queue`: what the queue's calls cost on this disk. Every figure is the median of several rounds, and the
// rounds of what is compared are interleaved, so that a busy moment strikes all alike.

let usage = """
  usage: bench-queue FOLDER [--waiting N] [--rounds N]
    FOLDER     a folder on the disk to measure; the bench makes one of its own in it, and removes that
    --waiting  the largest queue of the second table (default 1000000)
    --rounds   rounds of which the median is shown (default 3)

  """

func fail(_ words: String, status: Int32) -> Never {
  FileHandle.standardError.write(Data((words + "\n").utf8))
  exit(status)
}

var words = Array(CommandLine.arguments.dropFirst())
var options = ["--waiting": 1_000_000, "--rounds": 3]
for name in options.keys.sorted() {
  guard let at = words.firstIndex(of: name) else { continue }
  guard at + 1 < words.count, let value = Int(words[at + 1]), (1...10_000_000).contains(value) else {
    fail("\(name) takes a number\n\(usage)", status: 64)
  }
  options[name] = value
  words.removeSubrange(at...at + 1)
}
guard words.count == 1, let folder = words.first, !folder.hasPrefix("-") else { fail(usage, status: 64) }

do {
  let place = URL(filePath: folder).appending(path: "bench-queue-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: place) }
  let rounds = options["--rounds"] ?? 3
  try CallerBench(folder: place, rounds: rounds).run()
  try BacklogBench(folder: place, rounds: rounds, largest: options["--waiting"] ?? 1_000_000).run()
} catch {
  fail("bench-queue: \(error)", status: 1)
}
