import Client
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// The host swaps and alters the objects of a model while the worker loads it.
  @Suite("Models")
  struct Models {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    /// A worker that has loaded no model, with the stored epoch.
    private func freshWorker() throws -> (TheatreProcess, Host) {
      let (process, host) = try stage.secondWorker("models.sock")
      #expect(try host.configure(stage.policy.bytes) == .ok)
      let load = Activity.loadEpoch(
        seed: try stage.store.get(StoreLayout.seed(1)), announcement: try stage.store.get(StoreLayout.announcement(1)))
      #expect(try host.perform(load).code == .ok)
      return (process, host)
    }

    @Test(
      "Two models swapped, whole or object by object, decide nothing: no receipt, and the true objects still compute")
    func swapped() throws {
      let (process, host) = try freshWorker()
      defer { process.stop() }
      // In int8, since that needs every object.
      let job = try stage.alice.submit(
        ["the bridge"], model: stage.models[0].digest.hex, to: stage.store, precision: "int8")
      let other = stage.models[1].digest
      let names = ["manifest.cose"] + stage.models[0].claims.files.map(\.objectName)
      var plays: [(String, (ContentDigest, String) throws -> [UInt8]?)] = [
        ("all of the other model", { _, name in try stage.object(other, name) }), ("nothing", { _, _ in nil }),
      ]
      for name in names {
        let honest = try #require(try stage.object(stage.models[0].digest, name))
        let forged: [(String, [UInt8]?)] = [
          ("of the other model", try stage.object(other, name)), ("absent", nil), ("empty", []),
          ("cut", Array(honest.dropLast())), ("longer", honest + [0]), ("twice", honest + honest),
          ("flipped at its begin", honest.flipped(at: 0)),
          ("flipped in its middle", honest.flipped(at: honest.count / 2)),
          ("flipped at its end", honest.flipped(at: honest.count - 1)),
        ]
        for (what, bytes) in forged where bytes != honest {
          plays.append(
            ("\(name) \(what)", { digest, asked in asked == name ? bytes : try stage.object(digest, asked) }))
        }
      }
      for (what, objects) in plays {
        let ended = try host.run(job.bundle, objects: objects)
        #expect(ended.code == .retry && ended.receipt == nil, "\(what): \(ended.code)")
      }
      #expect(try host.run(job.bundle, objects: stage.object).code == .ok, "with the true objects it is computed")
      #expect(process.isAlive)
    }

    @Test("A model file without an end is let go at the size that its manifest says")
    func endless() throws {
      let (process, host) = try freshWorker()
      defer { process.stop() }
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      for name in ["config.json", "model.safetensors.age", "manifest.cose"] {
        let honest = try #require(try stage.object(stage.models[0].digest, name))
        var pulls = 0
        let ended = try host.run(job.bundle, objects: stage.object) { request, _ in
          guard case .pull(.model(_, let asked)) = request, asked == name else { return nil }
          pulls += 1
          try #require(pulls < 1000, "it never stops asking")
          return .data(pulls == 1 ? honest : [UInt8](repeating: 0x20, count: Limits.chunkBytes))
        }
        #expect(ended.code == .retry && ended.receipt == nil, "\(name): \(ended.code)")
      }
      #expect(process.isAlive)
    }

    @Test(
      "The worker asks for nothing but the manifest that the job names and the files that it lists and its precision needs"
    )
    func askedFor() throws {
      let (process, host) = try freshWorker()
      defer { process.stop() }
      let all = Set(["manifest.cose"] + stage.models[0].claims.files.map(\.objectName))
      let needed = ["fp32": all.subtracting(["int8.scales.age"]), "int8": all]
      #expect(all.contains("int8.scales.age"))
      for (precision, names) in needed {
        let job = try stage.alice.submit(
          ["the bridge"], model: stage.models[0].digest.hex, to: stage.store, precision: precision)
        var asked: Set<String> = []
        var digests: Set<ContentDigest> = []
        let ended = try host.run(job.bundle) { digest, name in
          asked.insert(name)
          digests.insert(digest)
          return try stage.object(digest, name)
        }
        #expect(ended.code == .ok)
        #expect(asked == names, "\(precision)")
        #expect(digests == [stage.models[0].digest])
      }
    }

    @Test("A job for one model is never answered by the other, though both are in the worker's memory")
    func cached() throws {
      let texts = ["the report of the bridge"]
      let outputs = try (0..<2).map { index in
        let (job, ended) = try stage.finishedJob(stage.alice, texts, model: index)
        #expect(try ended.claims.job?.model == stage.models[index].digest)
        let results = try #require(try stage.alice.examine(job.name, in: stage.store).results)
        var lines: [[UInt8]] = []
        try results.forEachLine(.output) { lines.append($0) }
        return lines
      }
      #expect(outputs[0] != outputs[1])
    }
  }
}
