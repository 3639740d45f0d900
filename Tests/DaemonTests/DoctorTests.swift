import Crypto
import Foundation
import ObjectStore
import Queue
import SealedCrypto
import Synchronization
import Testing
import Wire

@testable import JobRunner

/// Each broken set-up is named in words that say what to do, and decides the exit code.
@Suite("The doctor", .timeLimit(.minutes(15)))
struct DoctorTests {
  private func policy(_ host: TestDaemon, endsInDays days: Int, key: SigningKey, listed: Bool = true) throws {
    let nowMs = UInt64(Date().timeIntervalSince1970 * 1000)
    let zeros = [UInt8](repeating: 7, count: 48)
    let claims = PolicyClaims(
      version: 3, issuedMs: nowMs - 1000,
      notAfterMs: UInt64(Int64(nowMs) + Int64(days) * 86_400_000),
      measurements: [MeasurementTuple(name: "image", pcr0: zeros, pcr1: zeros, pcr2: zeros, pcr8: nil)],
      epochKey: "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000001", minimumEpoch: 1,
      epochValidityMs: 86_400_000, epochGraceMs: 0, submitters: [], publishers: [], formats: [],
      dtypes: [], maximumItems: 1, maximumInputBytes: 1, recoveryRecipients: [], requireHybridTLS: false,
      useFIPSEndpoint: false)
    _ = try host.store.put(
      try ObjectKey(StoreLayout.policy), try Signed.sign(claims, with: key).bytes, .always)
  }

  private func only(_ found: [Diagnosis], _ check: String) throws -> Diagnosis {
    try #require(found.first { $0.check == check }, "\(found.map(\.check))")
  }

  @Test("Warnings alone end with 3, one failure with 1, nothing with 0")
  func status() {
    let ok = Diagnosis.ok("a", "b")
    let warning = Diagnosis.warn("a", "b", remedy: "c")
    let failure = Diagnosis.fail("a", "b", remedy: "c")
    #expect([ok].status == .done && [ok, warning].status == .partial && [warning, failure, ok].status == .other)
  }

  @Test("A store that holds to conditions has one winner, and the probe is gone afterwards")
  func store() throws {
    let host = try TestDaemon()
    let found = StoreChecks(store: host.store).examine()
    #expect(found.status == .done, "\(found)")
    #expect(try only(found, "store conditions").finding.contains("one won"))
    #expect(try host.store.names(under: StoreLayout.host).isEmpty)
  }

  @Test("A store that ignores conditions, one that is away, and one that is not there are told apart")
  func brokenStores() throws {
    let host = try TestDaemon()
    let careless = try only(StoreChecks(store: CarelessStore(host.store)).examine(), "store conditions")
    #expect(careless.level == .failure && careless.meaning?.contains("committed twice") == true)
    #expect(careless.remedy?.contains("stores.md") == true)
    host.store.turn(.fails)
    let away = StoreChecks(store: host.store).examine()
    #expect(away.count == 1 && away.first?.level == .failure && away.status == .other)
    var settings = Doctor.Settings()
    settings.storeURL = "file://\(host.folder)/nowhere"
    settings.stateFolder = host.folder + "/none"
    let absent = try only(Doctor(settings: settings, client: nil).examine(), "store")
    #expect(absent.level == .failure && absent.remedy != nil)
  }

  @Test("A policy that is missing, foreign, ended, or ends soon; and one that cannot be read for want of a key")
  func policies() throws {
    let host = try TestDaemon()
    let nowMs = UInt64(Date().timeIntervalSince1970 * 1000)
    let key = try SigningKey.generate()
    func look(_ key: VerifyingKey?) throws -> Diagnosis {
      try only(PolicyChecks(store: host.store, key: key, nowMs: nowMs).examine(), "policy")
    }
    #expect(try look(nil).level == .warning, "there is one that nobody can read")
    #expect(try look(key.verifyingKey).finding.contains("does not verify"))
    try policy(host, endsInDays: 30, key: key)
    #expect(try look(key.verifyingKey).level == .ok)
    try policy(host, endsInDays: 2, key: key)
    let soon = try look(key.verifyingKey)
    #expect(soon.level == .warning && soon.remedy?.contains("ephemeral policy sign") == true)
    try policy(host, endsInDays: -1, key: key)
    let ended = try look(key.verifyingKey)
    #expect(ended.level == .failure && ended.meaning?.contains("ended") == true)
    try host.store.delete(try ObjectKey(StoreLayout.policy))
    #expect(try look(key.verifyingKey).finding.contains("has no policy"))
    let epoch = try only(PolicyChecks(store: host.store, key: nil, nowMs: nowMs).examine(), "sealing key")
    #expect(epoch.level == .warning && epoch.meaning == "no client can submit")
  }

  @Test("A worker that is away, and one whose evidence is not AWS's and whose image is not listed")
  func workers() throws {
    let host = try TestDaemon()
    let key = try SigningKey.generate()
    try policy(host, endsInDays: 30, key: key)
    let nowMs = UInt64(Date().timeIntervalSince1970 * 1000)
    let claims = PolicyChecks(store: host.store, key: key.verifyingKey, nowMs: nowMs).policy()
    let address = WorkerAddress.direct(host.worker)
    let away = WorkerChecks(name: "one", address: address, policy: claims).examine()
    #expect(away.count == 1 && away[0].level == .failure && away[0].remedy?.contains("enclave-worker") == true)
    let nitro = WorkerChecks(name: "n", address: .direct(.vsock(cid: 77, port: 5000)), policy: claims).examine()
    #expect(nitro.first?.remedy?.contains("nitro-cli describe-enclaves") == true)
    let worker = try ScriptedWorker(host.worker)
    defer { worker.stop() }
    let found = WorkerChecks(name: "one", address: address, policy: claims).examine()
    #expect(try only(found, "worker one").level == .ok)
    let evidence = try only(found, "worker one evidence")
    #expect(evidence.level == .warning && evidence.meaning?.contains("production profile") == true)
  }

  @Test("KMS: a name without an address, a silent place, somebody without TLS, and auto without a policy")
  func kms() throws {
    let host = try TestDaemon()
    func look(_ target: RelayTarget) throws -> Diagnosis {
      try #require(KMSChecks(target: target, policy: nil).examine().first)
    }
    let name = try look(.tcp(host: "kms.nowhere.invalid", port: 443))
    #expect(name.level == .failure && name.remedy?.contains("getent hosts kms.nowhere.invalid") == true)
    let nobody = try look(.local(.unix(host.folder + "/none.sock")))
    #expect(nobody.level == .failure && nobody.remedy?.contains("devcloud") == true)
    #expect(try look(.automatic).finding.contains("no policy says where KMS is"))
    let listener = try Listener(.unix(host.folder + "/plain.sock"))
    defer { listener.close() }
    Thread.detachNewThread {
      while let channel = try? listener.accept() {
        try? channel.write(Array("220 mail\r\n".utf8))
        channel.close()
      }
    }
    let plain = try look(.local(.unix(host.folder + "/plain.sock")))
    #expect(plain.level == .failure && plain.finding.contains("TLS"), "\(plain)")
  }

  @Test("Files that others may read or write, and a disk that takes nothing")
  func files() throws {
    let host = try TestDaemon()
    let manager = FileManager.default
    let state = host.folder + "/state"
    try manager.createDirectory(atPath: state, withIntermediateDirectories: true)
    func mode(_ mode: Int, _ path: String) throws {
      try manager.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }
    try mode(0o755, state)
    for (name, bits) in [("policy.pub", 0o666), ("credentials", 0o644), ("good.pub", 0o644)] {
      _ = manager.createFile(atPath: "\(host.folder)/\(name)", contents: Data("x".utf8))
      try mode(bits, "\(host.folder)/\(name)")
    }
    let found = MachineChecks(
      stateFolder: state, socketPath: nil,
      files: [
        ("policy key", host.folder + "/policy.pub", false), ("credentials file", host.folder + "/credentials", true),
        ("other key", host.folder + "/good.pub", false), ("lost", host.folder + "/lost", false),
      ]
    ).examine()
    let folder = try only(found, "state folder")
    #expect(folder.level == .failure && folder.remedy == "chmod 700 \(state)")
    #expect(try only(found, "policy key").remedy == "chmod go-w \(host.folder)/policy.pub")
    #expect(try only(found, "credentials file").remedy == "chmod 600 \(host.folder)/credentials")
    #expect(try only(found, "other key").level == .ok)
    #expect(try only(found, "lost").finding.contains("No such file"))
    #expect(try only(found, "versions").finding.contains("SQLite 3."))
    #expect(try only(found, "durable writes").level != .failure)
    let full = MachineChecks(stateFolder: "/proc/self", socketPath: nil, files: []).examine()
    #expect(try only(full, "durable writes").level == .failure)
    #expect(try manager.contentsOfDirectory(atPath: state).isEmpty, "nothing is left behind")
    let absent = MachineChecks(stateFolder: host.folder + "/no", socketPath: nil, files: []).examine()
    #expect(try only(absent, "state folder").level == .warning)
  }

  @Test("Clocks that are apart: a little is a warning, minutes are a failure, and the words say which way")
  func clocks() {
    func judge(_ seconds: Int) -> Diagnosis { ClockJudgement.judge("c", seconds: seconds, of: "the store", slight: 5) }
    #expect(judge(-3).level == .ok && judge(40).level == .warning && judge(-4000).level == .failure)
    #expect(judge(40).finding.contains("40 s ahead of") && judge(-4000).finding.contains("behind"))
    #expect(judge(40).remedy?.contains("timedatectl") == true)
  }

  @Test("The database: damaged, in another's hands, newer than the program; and a daemon that is down")
  func database() throws {
    let host = try TestDaemon()
    let state = host.folder + "/state"
    try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    func look() throws -> [Diagnosis] {
      DaemonChecks(stateFolder: state, socketPath: state + "/daemon.sock", schedulesFolder: nil).examine()
    }
    #expect(try only(try look(), "database").finding.contains("none yet"))
    let down = try only(try look(), "daemon")
    #expect(down.level == .warning && down.remedy?.contains("systemctl start ephemeral-daemon") == true)
    let path = "\(state)/\(StateFolder.database)"
    let queue = try SQLiteQueue(path: path)
    let held = try only(try look(), "database")
    #expect(held.level == .failure && held.remedy?.contains("another socket") == true)
    try queue.close()
    #expect(try only(try look(), "database").level == .ok)
    try Data(repeating: 0x41, count: 8192).write(to: URL(filePath: path))
    let damaged = try only(try look(), "database")
    #expect(damaged.level == .failure && damaged.remedy?.contains("recovery.md") == true)
  }

  @Test("A schedule that cannot be read is named with its line")
  func schedules() throws {
    let host = try TestDaemon()
    let folder = host.folder + "/schedules"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    func look() throws -> Diagnosis {
      try only(
        DaemonChecks(stateFolder: nil, socketPath: nil, schedulesFolder: folder).examine(), "schedules")
    }
    try "name: nightly\ncron: \"0 2 * * *\"\n".write(toFile: folder + "/a.yaml", atomically: true, encoding: .utf8)
    #expect(try look().finding.contains("next is nightly at"))
    try "name: b\ncron: \"61 2 * * *\"\n".write(toFile: folder + "/b.yaml", atomically: true, encoding: .utf8)
    let broken = try look()
    #expect(broken.level == .failure && broken.finding.contains("b.yaml") && broken.remedy?.contains("line") == true)
  }
}

/// A store that takes every write, whatever stands there.
private struct CarelessStore: ObjectStore {
  let inner: ScriptedStore
  init(_ inner: ScriptedStore) { self.inner = inner }

  var location: String { inner.location }
  func head(_ key: ObjectKey) throws -> ObjectInfo? { try inner.head(key) }
  func read(_ key: ObjectKey, range: Range<UInt64>?) throws -> any ObjectReader { try inner.read(key, range: range) }
  func getSmall(_ key: ObjectKey, limit: Int) throws -> [UInt8] { try inner.getSmall(key, limit: limit) }
  func openWriter(_ key: ObjectKey) throws -> any ObjectWriter { try inner.openWriter(key) }
  func delete(_ key: ObjectKey) throws { try inner.delete(key) }
  func put(_ key: ObjectKey, _ bytes: [UInt8], _ condition: WriteCondition) throws -> PutOutcome {
    try inner.put(key, bytes, .always)
  }
  func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    try inner.list(prefix: prefix, after: after, limit: limit)
  }
}
