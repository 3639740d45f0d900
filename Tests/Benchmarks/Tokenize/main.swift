import Foundation
import Inference

// Our side of `make bench-tokenize`: for each line on standard input it tokenizes all documents once on this thread and
// answers with their tokens and the thread's seconds. scripts/bench-tokenize.py takes turns with it.

let arguments = CommandLine.arguments
guard arguments.count == 3 else {
  FileHandle.standardError.write(Data("usage: bench-tokenize TOKENIZER.json DOCUMENTS.json\n".utf8))
  exit(64)
}

func seconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

do {
  let json = [UInt8](try Data(contentsOf: URL(fileURLWithPath: arguments[1])))
  let tokenizer = try Tokenizer(files: ModelFiles(["tokenizer.json": json]), maximumTokens: 1 << 20)
  let data = try Data(contentsOf: URL(fileURLWithPath: arguments[2]))
  let documents = try JSONDecoder().decode([String].self, from: data)
  while readLine() != nil {
    let start = seconds()
    let tokens = documents.reduce(0) { $0 + tokenizer.tokenize($1).ids.count }
    FileHandle.standardOutput.write(Data("\(tokens) \(seconds() - start)\n".utf8))
  }
} catch {
  FileHandle.standardError.write(Data("bench-tokenize: \(error)\n".utf8))
  exit(1)
}
