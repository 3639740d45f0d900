import CFuzzer
import Foundation

/// The target of this process. libFuzzer starts itself again for merging, so the name comes by the environment.
nonisolated(unsafe) private var chosen: FuzzTarget?

/// `FUZZ_TARGET=name fuzz [libFuzzer's options]`; without a name, lists the targets with their longest inputs. With
/// `FUZZ_WRITE=folder`, writes the target's kept inputs there instead; with `FUZZ_KEEP=folder`, keeps the files there.
@main
struct Fuzz {
  static func main() {
    let environment = ProcessInfo.processInfo.environment
    guard let target = FuzzTarget.all.first(where: { $0.name == environment["FUZZ_TARGET"] }) else {
      for target in FuzzTarget.all { print(target.name, target.longestBytes) }
      exit(environment["FUZZ_TARGET"] == nil ? 0 : 64)
    }
    do {
      if let folder = environment["FUZZ_WRITE"] {
        try target.writeInputs(to: URL(filePath: folder))
        exit(0)
      }
      if let folder = environment["FUZZ_KEEP"] {
        try KeptCorpus(target).replace(byFilesOf: URL(filePath: folder))
        exit(0)
      }
    } catch { stop("\(target.name): \(error)") }
    chosen = target
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    exit(
      LLVMFuzzerRunDriver(&count, &arguments) { bytes, size in
        do { try chosen?.run(Array(UnsafeBufferPointer(start: bytes, count: size))) } catch { stop("\(error)") }
        return 0
      })
  }
}

private func stop(_ reason: String) -> Never {
  FileHandle.standardError.write(Data("\(reason)\n".utf8))
  abort()
}
