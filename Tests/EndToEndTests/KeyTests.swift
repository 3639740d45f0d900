import Foundation
import TestSupport
import Testing

extension EndToEnd {
  /// Sealing keys, image upgrades and policies, by the programs alone: what docs/operations tells an operator to do.
  @Suite("Keys, upgrades and policies")
  struct KeysAndPolicies {
    private static let shared = Result { try Office(over: nil, tinyAlone: true) }
    let office: Office
    init() throws { office = try Self.shared.get() }

    private func json(_ finished: Theatre.Finished) throws -> [String: Any] {
      try #require(try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [String: Any])
    }

    /// `epochs list` by number.
    private func epochs() throws -> [Int: [String: String]] {
      let reply = try json(try office.operate(["epochs", "list", "--json"]))
      let rows = try #require(reply["epochs"] as? [[String: Any]])
      return Dictionary(
        uniqueKeysWithValues: rows.compactMap { row in
          (row["epoch"] as? Int).map { ($0, row.compactMapValues { $0 as? String }) }
        })
    }

    private func current() throws -> Int { try #require(try epochs().first { $0.value["state"] == "current" }).key }

    private func policyVersion(of job: String) throws -> Int {
      let lines = try office.ephemeral(["receipts", "verify", job, "--json"]).output.split(separator: "\n")
      let objects = lines.compactMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
      return try #require(objects.compactMap { $0["policy_version"] as? Int }.first)
    }

    /// The number of the newest policy; each test begins where the last one ended.
    private func version() throws -> Int {
      try #require(try json(try office.ephemeral(["policy", "show", "--json"]))["version"] as? Int)
    }

    private func isClaimed(_ job: String) -> Bool {
      office.daemon.errors.split(separator: "\n").contains { $0.contains("claimed") && $0.contains(job) }
    }

    private func pause() throws { #expect(try office.operate(["queue", "pause", "default"]).status == 0) }
    private func resume() throws { #expect(try office.operate(["queue", "resume", "default"]).status == 0) }

    @Test("Rotation overlaps; a retired epoch opens nothing, and operator and submitter are told what to do")
    func rotateAndRetire() throws {
      let first = try current()
      #expect(try epochs()[first]?["image"]?.hasSuffix("(worker)") == true)
      try pause()
      let before = try office.submit([try office.documents(2, named: "before-rotation")])
      let rotated = try office.operate(["epochs", "rotate"])
      #expect(rotated.status == 0 && rotated.output.contains("epoch \(first + 1) is announced"), "\(rotated.errors)")
      #expect(try current() == first + 1)
      #expect(try epochs()[first]?["state"] == "overlap")
      let lost = try office.submit([try office.documents(2, named: "to-be-retired")])
      let retired = try office.operate(["epochs", "retire", "\(first + 1)", "--delete-seed"])
      #expect(retired.status == 0, "\(retired.errors)")
      #expect(retired.output.contains("Epoch \(first + 2) was made in its place"))
      #expect(retired.output.contains("no erasure") && retired.output.contains("minimum_epoch"))
      let after = try office.submit([try office.documents(2, named: "after-retirement")])
      #expect(try epochs()[first + 1]?["state"] == "retired")
      #expect(try epochs()[first + 1]?["note"] == "its seed is deleted")
      try resume()
      #expect(try office.watch(before).status == 0)
      #expect(try office.watch(after).status == 0)
      let watched = try office.watch(lost, seconds: 3)
      #expect(watched.status == 6, "\(watched.errors)")
      #expect(watched.errors.contains("epoch \(first + 1)") && watched.errors.contains("is retired"))
      #expect(watched.errors.contains("submit the documents again"))
      let inspected = try office.operate(["queue", "inspect", lost])
      #expect(inspected.output.contains("bundle_unopened"), "\(inspected.output)")
      #expect(try office.ephemeral(["status", lost]).output.contains("is retired"))
      #expect(try office.ephemeral(["cancel", lost]).status == 0)

      // Another boot is given what is in service, and nothing else; the numbers of the retired are not used again.
      office.worker.murder()
      try office.restartWorker()
      #expect(try office.watch(try office.submit([try office.documents(1, named: "next-boot")])).status == 0)
      #expect(try current() == first + 2)
      #expect(try epochs()[first]?["note"] == "")
      #expect(try office.operate(["epochs", "retire", "99999"]).status == 10)
      #expect(try office.operate(["epochs", "retire", "\(first + 1)"]).status == 0, "once more changes nothing")
    }

    @Test("Two workers hold one epoch: a second host opens what was sealed before it was there, and makes no key")
    func twoWorkers() throws {
      let epoch = try current()
      // No pause: that is on record in the store, and a new daemon takes it over.
      #expect(try office.operate(["workers", "drain", "worker-1"]).status == 0)
      let job = try office.submit([try office.documents(3, named: "two-workers")])
      let worker = try office.theatre.startWorker(image: office.image, socket: "second-worker.sock")
      let daemon = try office.startSecondDaemon(worker: "second-worker.sock")
      defer {
        daemon.stop()
        worker.stop()
      }
      let watched = try office.watch(job)
      #expect(watched.status == 0, "\(watched.errors)\n\(daemon.tail)")
      #expect(daemon.errors.contains("epoch loaded") && !daemon.errors.contains("epoch made"))
      #expect(try current() == epoch)
      #expect(try office.operate(["workers", "undrain", "worker-1"]).status == 0)
    }

    @Test("An image upgrade: what was sealed before it finishes after it, and then the old image is trusted no more")
    func upgrade() throws {
      let key = try String(contentsOfFile: office.theatre.path("officer/policy.pub"), encoding: .utf8)
        .trimmingCharacters(in: .whitespacesAndNewlines)
      let newImage = try office.theatre.writeImage("image-2", policyKey: key, files: ["release": "2\n"])
      let (old, new) = (try office.theatre.measure(image: office.image), try office.theatre.measure(image: newImage))
      #expect(old.pcr0 != new.pcr0)
      let version = try version()

      // 1. KMS and the policy take both images.
      try office.theatre.allow(old, new)
      try office.install(try office.sign(version: version + 1, images: [("worker", old), ("worker-2", new)]))
      try office.waitForLog("policy=\(version + 1)")
      let finished = try office.submit([try office.documents(2, named: "old-image")])
      #expect(try office.watch(finished).status == 0)
      try pause()
      let waiting = try office.submit([try office.documents(2, named: "waits-for-upgrade")])

      // 2. The new image takes over, with the old one's epochs.
      let epoch = try current()
      office.worker.stop()
      try office.restartWorker(image: newImage)
      try resume()
      let watched = try office.watch(waiting)
      #expect(watched.status == 0, "\(watched.errors)\n\(office.daemon.tail)")
      #expect(try current() == epoch, "clients still take the old image's announcement")

      // 3. The old image goes. Its announcement is worth nothing to clients then, so the daemon has a new one made.
      try office.theatre.allow(new)
      try pause()
      let late = try office.submit([try office.documents(2, named: "sealed-in-overlap")])
      try office.install(try office.sign(version: version + 2, images: [("worker-2", new)]))
      try office.waitForLog("clients refuse the newest epoch under this policy")
      #expect(try current() == epoch + 1)
      try resume()
      #expect(try office.watch(late).status == 0, "sealed to the old image's epoch, and opened by the new image")
      #expect(try office.watch(try office.submit([try office.documents(1, named: "after-upgrade")])).status == 0)
      #expect(try office.ephemeral(["receipts", "verify", finished]).status == 0, "the old image's receipts stay good")

      // A worker that the policy does not list costs no job anything.
      office.worker.stop()
      try office.restartWorker()
      try office.waitForLog("is not listed in policy version \(version + 2)")
      let patient = try office.submit([try office.documents(1, named: "patient")])
      #expect(try office.watch(patient, seconds: 2).status == 6)
      office.worker.stop()
      try office.theatre.allow(old, new)
      try office.install(try office.sign(version: version + 3, images: [("worker", old), ("worker-2", new)]))
      try office.restartWorker()
      #expect(try office.watch(patient).status == 0)
    }

    @Test("A new policy reaches the worker while a job runs, which ends under the one that it began with")
    func hotReload() throws {
      let measured = try office.theatre.measure(image: office.image)
      var (version, job) = (0, "")
      // However fast this machine is, one of these jobs is still running when the policy arrives.
      for items in [100_000, 300_000, 900_000] {
        version = try self.version()
        let policy = try office.sign(version: version + 1, images: [("worker", measured)])
        job = try office.submit([try office.documents(items, named: "long")])
        let limit = Date(timeIntervalSinceNow: 60)
        while Date() < limit, !isClaimed(job) { usleep(2000) }
        try office.install(policy)
        try office.waitForLog("policy=\(version + 1)")
        if !FileManager.default.fileExists(atPath: "\(office.storeFolder)/jobs/\(job)/commit.json") { break }
        job = ""
      }
      #expect(!job.isEmpty, "the policy arrived while the job was running")
      #expect(try office.watch(job, seconds: 300).status == 0)
      #expect(try policyVersion(of: job) == version)
      let next = try office.submit([try office.documents(1, named: "next")])
      #expect(try office.watch(next).status == 0)
      #expect(try policyVersion(of: next) == version + 1)
    }

    /// A policy that ends in a few seconds, and its end. One that has ended already is not signed, and a busy machine may
    /// take longer to come to it than the policy was to live.
    private func signedForSeconds(version: Int, images: [(String, Theatre.Measurement)]) throws -> (String, Date) {
      var seconds = 3.0
      while true {
        let end = Date(timeIntervalSinceNow: seconds)
        let extra = "not_after: \(ISO8601DateFormatter().string(from: end))"
        do { return (try office.sign(version: version, images: images, extra: extra), end) } catch {
          seconds *= 3
          guard seconds < 100 else { throw error }
        }
      }
    }

    @Test("Every policy that must not take over is refused by daemon and client, each with its reason, and jobs go on")
    func refusedPolicies() throws {
      let version = try version()
      let image = ("worker", try office.theatre.measure(image: office.image))
      let older = try office.sign(version: version, images: [image])
      let good = try office.sign(version: version + 1, images: [image])
      try office.install(good)
      try office.waitForLog("policy=\(version + 1)")
      try pause()
      let job = try office.submit([try office.documents(1, named: "goes-on")])

      let (ended, end) = try signedForSeconds(version: version + 2, images: [image])
      try office.theatre.succeed(
        office.theatre.ephemeral, ["policy", "keygen", "--output", office.theatre.path("officer/stranger")])
      let stranger = try office.sign(version: version + 9, images: [image], key: "officer/stranger.key")
      let fork = try office.sign(version: version + 1, images: [image], extra: "valid_for_days: 31")
      let unsigned = office.theatre.path("officer/unsigned.cose")
      try Data("version: 99".utf8).write(to: URL(filePath: unsigned))
      while Date() < end + 1 { usleep(50_000) }
      let cases: [(file: String, daemon: String, client: String)] = [
        (older, "it was rolled back", "it was rolled back"),
        (fork, "another policy of the same version", "two policies of version \(version + 1)"),
        (ended, "has ended", "ended on"),
        (stranger, "another key than the one required", "another key than the one required"),
        (unsigned, "does not verify under the daemon's --policy-key", "does not verify under the policy key"),
      ]
      for (file, daemon, client) in cases {
        try office.smuggle(file)
        let submitted = try office.ephemeral(["submit", try office.documents(1, named: "refused")])
        #expect(submitted.status == 20 && submitted.errors.contains(client), "\(daemon): \(submitted.errors)")
        let installed = try office.ephemeral(["policy", "install", file])
        #expect(installed.status == 20 && !installed.errors.contains("the store's"), "\(daemon): \(installed.errors)")
        try office.waitForLog(daemon)
      }
      try resume()
      let watched = try office.watch(job)
      #expect(watched.status == 0, "under the last good one, whatever the store has: \(watched.errors)")
      #expect(try policyVersion(of: job) == version + 1)
      try office.smuggle(good)
    }

    @Test("An image that pins its policy shows it in PCR16, KMS can demand that, and another policy takes a restart")
    func pinnedPolicy() throws {
      let key = try String(contentsOfFile: office.theatre.path("officer/policy.pub"), encoding: .utf8)
        .trimmingCharacters(in: .whitespacesAndNewlines)
      let pinning = try office.theatre.writeImage("image-pin", policyKey: key, files: ["pin-policy": "yes\n"])
      let (old, new) = (try office.theatre.measure(image: office.image), try office.theatre.measure(image: pinning))
      let version = try version()
      let images = [("worker", old), ("pinning", new)]
      func install(_ number: Int) throws -> String {
        let policy = try office.sign(version: number, images: images)
        try office.install(policy)
        let shown = try json(try office.ephemeral(["policy", "show", policy, "--json"]))
        return try #require(shown["pcr16"] as? String)
      }
      let first = try install(version + 1)
      office.worker.stop()
      try office.theatre.allow(new, pcr16: first)
      try office.restartWorker(image: pinning)
      let job = try office.submit([try office.documents(1, named: "pinned")])
      let watched = try office.watch(job)
      #expect(watched.status == 0, "\(watched.errors)\n\(office.daemon.tail)")

      let second = try install(version + 2)
      try office.waitForLog("restart the worker to have it take version \(version + 2) of the policy")
      let waiting = try office.submit([try office.documents(1, named: "knows-the-newer")])
      #expect(try office.watch(waiting, seconds: 2).status == 6, "undecided under the older policy")
      office.worker.stop()
      try office.restartWorker(image: pinning)
      #expect(try office.watch(waiting, seconds: 4).status == 6, "KMS demands the first policy")
      try office.theatre.allow(new, pcr16: second)
      #expect(try office.watch(waiting).status == 0)
      #expect(try policyVersion(of: waiting) == version + 2)

      office.worker.stop()
      try office.theatre.allow(old, new)
      try office.restartWorker()
    }
  }
}
