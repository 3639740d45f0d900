import CBlas
import Foundation
import Inference

// Our side of `make bench-embed`: commands on standard input, one JSON object a line; an answer for each on standard
// output. scripts/bench/embed.py speaks to it and to the peers alike.

let usage = """
  usage: bench-embed PRECISION --model FOLDER --documents FOLDER --threads N [--scales FILE]
         bench-embed calibrate --model FOLDER --scales FILE

  """

func fail(_ words: String, status: Int32) -> Never {
  FileHandle.standardError.write(Data((words + "\n").utf8))
  exit(status)
}

var options: [String: String] = [:]
let words = Array(CommandLine.arguments.dropFirst())
for place in stride(from: 1, to: words.count - 1, by: 2) { options[words[place]] = words[place + 1] }
if words.first == "calibrate", let model = options["--model"], let scales = options["--scales"] {
  do {
    try Bench.calibrate(model: model, scales: scales)
    exit(0)
  } catch {
    fail("bench-embed: \(error)", status: 1)
  }
}
guard let name = words.first, let model = options["--model"], let documents = options["--documents"],
  let threads = options["--threads"].flatMap(Int.init), (1...1024).contains(threads)
else { fail(usage, status: 64) }
guard let precision = Precision(rawValue: name) else { fail("this build has no precision \(name)", status: 64) }
// The cap for comparisons with engines that are capped too.
if let kernel = ProcessInfo.processInfo.environment["EPHEMERALML_KERNEL"], !cb_select_kernel(kernel) {
  fail("this processor has no kernel \(kernel)", status: 64)
}

do {
  let bench = Bench(
    model: model, documents: documents, precision: precision, threads: threads, scales: options["--scales"])
  while let line = readLine() {
    let answer: Answer
    do {
      answer = try bench.answer(try JSONDecoder().decode(Command.self, from: Data(line.utf8)))
    } catch {
      answer = Answer(error: "\(error)")
    }
    FileHandle.standardOutput.write(try JSONEncoder().encode(answer) + Data("\n".utf8))
  }
} catch {
  fail("bench-embed: \(error)", status: 1)
}
