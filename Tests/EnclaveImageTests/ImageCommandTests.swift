import EnclaveImage
import Foundation
import TestSupport
import Testing

/// `ephemeral image`, as an officer and a script use it: build, measure, inspect; damage one byte; expect this code.
@Suite struct ImageCommandTests {
  private struct Line: Decodable {
    let pcr0: String?
    let pcr8: String?
    let sha256: String?
    let exit: Int?
    let error: String?
  }

  private func line(_ text: String) throws -> Line { try JSONDecoder().decode(Line.self, from: Data(text.utf8)) }

  @Test func anImageIsBuiltMeasuredAndInspectedAndADamagedOneIsRefused() throws {
    let theatre = try Theatre()
    let key = String(repeating: "ab", count: 32)
    try Data(SampleImage.kernel).write(to: URL(filePath: theatre.path("bzImage")))
    try Data(SampleImage.program("init")).write(to: URL(filePath: theatre.path("init")))
    try Data(SampleImage.program("worker")).write(to: URL(filePath: theatre.path("worker")))
    try Data(SampleImage.program("worker", headerType: 3)).write(to: URL(filePath: theatre.path("dynamic")))
    func build(worker: String = "worker", class name: String = "production", output: String) throws -> Theatre.Finished
    {
      try theatre.run(
        theatre.ephemeral,
        [
          "image", "build", "--kernel", "bzImage", "--init", "init", "--worker", worker, "--class", name,
          "--policy-key", key, "--kms-roots", Checkout.root.appending(path: "infra/enclave/kms-roots.pem").path,
          "--output", output, "--json",
        ])
    }
    let one = try build(output: "one.eif")
    let two = try build(output: "two.eif")
    #expect(one.status == 0 && two.status == 0, "\(one.errors)\(two.errors)")
    #expect(try line(one.output).sha256 == line(two.output).sha256)
    let measured = try theatre.run(theatre.ephemeral, ["image", "measure", "one.eif", "--json"])
    #expect(measured.status == 0)
    #expect(try line(measured.output).pcr0 == line(one.output).pcr0)
    #expect(try line(measured.output).pcr8 == nil, "an unsigned image has no PCR8 to put into a policy")
    let inspected = try theatre.succeed(theatre.ephemeral, ["image", "inspect", "one.eif"])
    #expect(inspected.contains("enclave-worker") && inspected.contains("image/policy.pub"))

    var bytes = try Data(contentsOf: URL(filePath: theatre.path("one.eif")))
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: URL(filePath: theatre.path("damaged.eif")))
    for verb in ["measure", "inspect"] {
      let refused = try theatre.run(theatre.ephemeral, ["image", verb, "damaged.eif", "--json"])
      #expect(refused.status == 21 && refused.errors.contains("damaged"))
      #expect(try line(refused.output).exit == 21)
      #expect(try theatre.run(theatre.ephemeral, ["image", verb, "nowhere.eif"]).status == 10)
    }

    let emulated = try build(class: "emulated", output: "emulated.eif")
    #expect(try emulated.status == 0 && line(emulated.output).pcr0 != line(one.output).pcr0)
    let development = try build(class: "development", output: "one.eif")
    #expect(development.status == 64 && development.errors.contains("production or emulated"))
    let dynamic = try build(worker: "dynamic", output: "one.eif")
    #expect(dynamic.status == 1 && dynamic.errors.contains("linked dynamically"))
    #expect(try theatre.run(theatre.ephemeral, ["image", "measure", "one.eif", "--json"]).output == measured.output)
    let foreign = try theatre.run(theatre.ephemeral, ["image", "inspect", SampleImage.vector("foreign.eif").path])
    #expect(foreign.status == 3 && foreign.output.contains("compressed by zstd"))
  }
}
