import Attestation
import Client
import Foundation
import ObjectStore
import SealedCrypto
import TestSupport
import Testing
import Wire

extension HostileHost {
  /// Keys leave KMS for the allowed enclave alone: not for the host, not for another program, not for another image, and
  /// not through a relay that plays KMS.
  @Suite("Key release")
  struct KeyRelease {
    let stage: Stage
    init() throws { stage = try Stage.raise() }

    @Test("What passes the relay shows neither action, key name nor credentials, and no relay's game yields an epoch")
    func relay() throws {
      let relay = try HostileRelay(at: stage.theatre.path("relay.sock"), to: stage.host.relay)
      defer { relay.close() }
      let (process, host) = try stage.secondWorker("relayed.sock")
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes, relay: relay.endpoint) == .ok)
      relay.set(.honest)
      #expect(try host.perform(.createEpoch(2)).code == .ok)
      let seen = relay.recorded
      let clear = ["GenerateDataKey", "Ciphertext", "arn:aws", "ephemeralml", "AWS4", host.accessKey, host.secret]
      for text in clear {
        #expect(!contains(seen.fromWorker, text) && !contains(seen.fromKMS, text), "\(text) in clear")
      }

      var plays: [HostileRelay.Play] = [
        .hangUp, .answer([]), .answer(Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".utf8)),
        .answer([UInt8](repeating: 0x16, count: 5000)), .answer(seen.fromKMS), .swallowReply,
      ]
      let (up, down) = (seen.fromWorker.count, seen.fromKMS.count)
      for part in 0..<8 {
        plays += [
          .flipFromKMS(down * part / 8), .flipFromWorker(up * part / 8), .cutFromKMS(down * part / 8),
        ]
      }
      for play in plays {
        relay.set(play)
        let reply = try host.perform(.createEpoch(3))
        #expect(reply.code != .ok && reply.statement == nil && reply.seed == nil, "\(play)")
      }
      relay.set(.honest)
      #expect(try host.perform(.createEpoch(3)).code == .ok)
      #expect(process.isAlive)
    }

    @Test("A relay that says nothing costs a bounded time, and the answer is to try again")
    func stallingRelay() throws {
      let relay = try HostileRelay(at: stage.theatre.path("stall.sock"), to: stage.host.relay)
      defer { relay.close() }
      relay.set(.stall)
      let (process, host) = try stage.secondWorker("stalled.sock")
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes, relay: relay.endpoint) == .ok)
      #expect(try host.perform(.createEpoch(2)).code == .retry, "before this host's own minute is over")
      #expect(try host.configure(stage.policy.bytes, relay: try Endpoint("unix:/nowhere/kms.sock")) == .ok)
      #expect(try host.perform(.createEpoch(2)).code == .retry, "nobody listens there")
      #expect(process.isAlive)
    }

    @Test("A KMS of the host's own, with another root, is not spoken to")
    func otherKMS() throws {
      let theatre = try Theatre()
      let cloud = try theatre.startCloud()
      defer { cloud.stop() }
      let (process, host) = try stage.secondWorker("other-kms.sock")
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes, relay: try Endpoint("unix:\(theatre.kms)")) == .ok)
      #expect(try host.perform(.createEpoch(2)).code == .retry)
      let load = Activity.loadEpoch(
        seed: try stage.store.get(StoreLayout.seed(1)), announcement: try stage.store.get(StoreLayout.announcement(1)))
      #expect(try host.perform(load).code == .retry)
      #expect(try host.status().epochs.isEmpty)
    }

    @Test(
      "Another executable has another PCR0 with the same image: KMS gives it nothing, the client believes it nothing")
    func otherExecutable() throws {
      let copy = URL(filePath: stage.theatre.path("enclave-worker-changed"))
      var bytes = try Data(contentsOf: stage.theatre.worker)
      bytes.append(0)
      try bytes.write(to: copy)
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: copy.path)
      let measured = try stage.theatre.measure(image: stage.image, executable: copy)
      #expect(measured.pcr0 != stage.measurement.pcr0 && measured.pcr1 != stage.measurement.pcr1)
      #expect(measured.pcr2 == stage.measurement.pcr2)

      let (process, host) = try stage.secondWorker("changed.sock", executable: copy)
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes) == .ok, "its image trusts the same policy key")
      try expectPowerless(host)
    }

    @Test("Another image directory has another PCR0 with the same executable: KMS and client refuse it alike")
    func otherImage() throws {
      let own = try SigningKey.generate()
      let image = try stage.theatre.writeImage("image-own", policyKey: Hex.encode(own.verifyingKey.bytes))
      let measured = try stage.theatre.measure(image: image)
      #expect(measured.pcr0 != stage.measurement.pcr0 && measured.pcr2 != stage.measurement.pcr2)
      #expect(measured.pcr1 == stage.measurement.pcr1)

      let (process, host) = try stage.secondWorker("own-image.sock", image: image)
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes) == .refused)
      var claims = stage.policy.claims
      claims.version = 3
      claims.measurements = [try measured.tuple("own")]
      #expect(try host.configure(try Signed<PolicyClaims>.sign(claims, with: own).bytes) == .ok, "its own master")
      try expectPowerless(host)
    }

    @Test("A file more in the image directory is another PCR0")
    func fileMore() throws {
      let image = try stage.theatre.writeImage("image-more", policyKey: Hex.encode(stage.policyKey.verifyingKey.bytes))
      #expect(try stage.theatre.measure(image: image) == stage.measurement, "the same content is the same image")
      try stage.theatre.write("image-more/extra", "")
      #expect(try stage.theatre.measure(image: image).pcr0 != stage.measurement.pcr0)
      let (process, host) = try stage.secondWorker("more.sock", image: image)
      defer { process.stop() }
      #expect(try host.configure(stage.policy.bytes) == .ok)
      try expectPowerless(host)
    }

    /// No key, no epoch, no receipt that counts, and a status that the client's verifier refuses for its measurements.
    private func expectPowerless(_ host: Host) throws {
      let made = try host.perform(.createEpoch(1))
      #expect(made.code == .refused && made.statement == nil && made.seed == nil)
      let load = Activity.loadEpoch(
        seed: try stage.store.get(StoreLayout.seed(1)), announcement: try stage.store.get(StoreLayout.announcement(1)))
      #expect(try host.perform(load).code == .refused)
      let job = try stage.alice.submit(["the bridge"], model: stage.models[0].digest.hex, to: stage.store)
      let ended = try host.run(job.bundle, objects: stage.object)
      #expect(ended.code == .retry && ended.receipt == nil && ended.files.isEmpty)
      let status = try #require(try host.perform(.status(nonce: [1])).statement)
      let unattested = try UnverifiedStatement<StatusClaims>(status).signedByItsOwnKey()
      do {
        let verifier = stage.alice.profile.verifier
        _ = try verifier.attested(unattested, measurements: stage.policy.claims.measurements)
        Issue.record("accepted")
      } catch {
        #expect(error.reason == .measurements, "\(error)")
      }
    }

    @Test("KMS gives the host itself nothing: no data key, no seed, no model, with or without an enclave of its own")
    func hostItself() throws {
      let arns = try stage.theatre.keyARNs()
      let epochKey = try KMSKeyARN(arns.epoch)
      let modelKey = try KMSKeyARN(arns.model)
      let epochContext = KMSEncryptionContext.epoch(1, policyKey: stage.policyKey.verifyingKey)
      let modelContext = KMSEncryptionContext.model(manifest: stage.models[0].digest)
      let seedBlob = try Self.blob(of: try stage.store.get(StoreLayout.seed(1)))
      let weights = StoreLayout.model(stage.models[0].digest, "model.safetensors.age")
      let modelBlob = try Self.blob(of: try stage.store.get(weights))
      let rsa = try KMSRecipientKey()
      let document = try RogueEnclave(theatre: stage.theatre)
        .document(userData: nil, publicKey: rsa.subjectPublicKeyInfo)
      let rogue = KMSRecipient(attestationDocument: document)
      for profile in ["host", "publisher"] {
        let kms = try CloudKMS(stage.theatre, profile: profile)
        for recipient in [nil, rogue] {
          let requests: [(KMSAction, KMSRequest)] = [
            (.generateDataKey, .generateDataKey(epochKey, context: epochContext, recipient: recipient)),
            (.decrypt, .decrypt(seedBlob, key: epochKey, context: epochContext, recipient: recipient)),
            (.decrypt, .decrypt(modelBlob, key: modelKey, context: modelContext, recipient: recipient)),
          ]
          for (action, request) in requests {
            let answer = try kms.call(action, try request.encoded())
            let name = KMSErrorName(json: answer)?.name
            #expect(
              name == "AccessDeniedException", "\(profile), \(action): \(String(decoding: answer, as: UTF8.self))")
          }
        }
      }
    }

    /// The CiphertextBlob in a KMS stanza.
    private static func blob(of file: [UInt8]) throws -> [UInt8] {
      let line = String(decoding: file.prefix(8192), as: UTF8.self).split(separator: "\n")
        .first { $0.hasPrefix("-> \(KMSStanza.type) ") }
      let text = try #require(line?.split(separator: " ").last)
      return try #require(AgeBase64.decode(text.utf8)).map { $0 }
    }

    private func contains(_ bytes: [UInt8], _ text: String) -> Bool {
      Data(bytes).range(of: Data(text.utf8)) != nil
    }
  }
}
