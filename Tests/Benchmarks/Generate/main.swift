import Foundation
import Inference

// Our side of `make bench-generate`: commands on standard input, one JSON object a line; an answer for each on standard
// output. scripts/bench/generate.py speaks to it and to llama.cpp alike.

func fail(_ words: String, status: Int32) -> Never {
  FileHandle.standardError.write(Data((words + "\n").utf8))
  exit(status)
}

guard CommandLine.arguments.count == 2 else { fail("usage: bench-generate FILE.gguf", status: 64) }
do {
  try EngineKernel.checkEnvironment()
  let bench = Bench(file: CommandLine.arguments[1])
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
  fail("bench-generate: \(error)", status: 1)
}
