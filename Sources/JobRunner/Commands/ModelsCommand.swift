import ArgumentParser
import Client
import Foundation
import ObjectStore
import SealedCrypto
import Wire

/// `ephemeral models`.
struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models", abstract: "Publish models that only an attested enclave can open.",
    subcommands: [Verify.self, Fit.self, Publish.self, List.self])

  struct Publish: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check a model folder, seal its weights under your KMS key, sign and upload.",
      discussion: """
        FOLDER is a Hugging Face or sentence-transformers folder (safetensors, config.json, tokenizer.json), or one with a
        GGUF file. The tokenizer stands in clear, so that clients can count tokens; the weights, and all of a GGUF file,
        are sealed under a KMS data key, bound to the manifest. Standard output carries the manifest's digest alone: the security officer lists it in the policy.
        A model that is there already, file for file, is not uploaded again.

        Before that, int8 of an encoder is calibrated: the model computes a few hundred built-in texts, and what its products see there
        becomes a small sealed file. How near int8 and bf16 then come to fp32, on texts that the calibration had not
        seen, stands in the signed manifest, as the cosine of embeddings or the agreement of a head's logits; jobs that
        leave the precision to the worker get int8 where it is at least 0.999 on average and 0.997 for each text.

        Credentials: --aws-profile FILE:NAME, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

        Examples:
          ephemeral models publish all-MiniLM-L6-v2 --kms-key arn:aws:kms:eu-west-1:111122223333:key/…
          ephemeral models publish model/ --kms-key ARN --aws-profile devcloud/credentials:publisher \\
            --kms-endpoint unix:/tmp/demo/kms.sock --kms-roots devcloud/kms-roots.pem
        """)
    @Argument(help: "The model's folder.", completion: .directory)
    var folder: String
    @OptionGroup var options: ClientOptions
    @Option(help: "What people call it (default: the folder's name).")
    var name: String?
    @Option(help: ArgumentHelp("Your KMS key, in full.", valueName: "arn"))
    var kmsKey: String
    @Option(help: ArgumentHelp("AWS credentials.", valueName: "file:name"))
    var awsProfile: String?
    @Option(
      help: ArgumentHelp("Where KMS is reached, when not by its name: unix:/path or host:port.", valueName: "address"))
    var kmsEndpoint: String?
    @Option(
      help: ArgumentHelp("Roots for KMS's certificate instead of the system's (devcloud).", valueName: "file.pem"),
      completion: .file())
    var kmsRoots: String?

    @Option(
      help: ArgumentHelp(
        "Texts like those that the model is for, one a line (the two of a pair with a tab between): int8 is calibrated with them too.",
        valueName: "file"),
      completion: .file())
    var calibrate: String?
    @Flag(help: "Leave int8 without a calibration; `auto` then never means int8.")
    var noCalibration = false

    @Option(
      help: ArgumentHelp(
        "Tokens of prompt and output together at most, of a model that continues texts (default: the model's own). Workers need memory for so many.",
        valueName: "tokens"))
    var context: Int?

    func validate() throws {
      guard calibrate == nil || !noCalibration else {
        throw ValidationError("--calibrate and --no-calibration exclude each other.")
      }
    }

    func run() throws {
      let context = try options.context()
      let screen = context.screen
      let keys = context.home.keys
      try context.home.create()
      if !keys.has(.publisher) {
        try keys.generate(.publisher)
        screen.stage(
          "keys", "made \(keys.path(.publisher)); `ephemeral keys export --publisher` prints what the policy needs")
      }
      let kms = try PublisherKMS(
        keyARN: kmsKey, credentials: try PublisherCredentials.resolve(awsProfile), endpoint: kmsEndpoint,
        rootsFile: kmsRoots)
      let path = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
      let name = self.name ?? URL(filePath: path).lastPathComponent
      let store = try context.store()
      let published = try ModelPublisher(store: store, kms: kms).publish(
        folder: path, name: name, key: try KMSKeyARN(kmsKey), publisher: try keys.signingKey(.publisher),
        nowMs: Timestamps.nowMs(), policy: try policy(context, store),
        calibration: noCalibration ? nil : try calibrate.map(CalibrationFile.read) ?? [], contextLength: self.context,
        progress: { screen.stage("model", $0) })
      let manifest = published.manifest
      screen.stage(
        published.wasThere ? "was there" : "published",
        "\(name): \(manifest.claims.architecture), \(manifest.claims.dimensions > 0 ? "\(manifest.claims.dimensions) dimensions, " : "")\(manifest.claims.maximumTokens) tokens, \(manifest.claims.files.count) files"
      )
      for entry in manifest.claims.accuracy { screen.stage("accuracy", Self.shown(entry, manifest.claims)) }
      screen.line(
        .object([
          ("event", .text("published")), ("name", .text(name)), ("manifest", .text(manifest.digest.hex)),
          ("publisher_key", .text(Hex.encode(manifest.signer.bytes))), ("was_there", .bool(published.wasThere)),
          ("accuracy", .array(manifest.claims.accuracy.map(Self.line))),
        ]))
      screen.out(manifest.digest.hex)
    }

    /// The policy, where this user trusts an officer already: a publisher need not.
    private func policy(_ context: ClientContext, _ store: any ObjectStore) throws -> PolicyClaims? {
      let trust = TrustStore(home: context.home)
      guard let profile = try? context.profile() else {
        context.screen.note("no trust profile: whether the policy permits this model is not looked at")
        return nil
      }
      return try trust.policies(profile).refresh(from: store, nowMs: Timestamps.nowMs()).claims
    }

    /// Such as `int8: cosine to fp32 0.999079 on average, 0.997492 at least, over 67 texts: passes`.
    private static func shown(_ entry: ModelAccuracy, _ claims: ModelManifestClaims) -> String {
      let isEmbedding = claims.operations == ["embed"]
      let judged = entry.precision == "int8" ? (entry.passes ? ": passes" : ": does not pass, so auto avoids it") : ""
      return
        "\(entry.precision): \(isEmbedding ? "cosine to" : "logits agree with") fp32 \(Shown.cosine(entry.meanMillionths)) on average, "
        + "\(Shown.cosine(entry.leastMillionths)) at least, over \(Shown.count(entry.texts, isEmbedding ? "text" : "input"))\(judged)"
    }

    private static func line(_ entry: ModelAccuracy) -> JSONLine {
      .object([
        ("precision", .text(entry.precision)), ("mean_millionths", .unsigned(entry.meanMillionths)),
        ("least_millionths", .unsigned(entry.leastMillionths)), ("texts", .unsigned(entry.texts)),
      ])
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the models in the store and whether you may use them.",
      discussion: "Example:\n  ephemeral models list")
    @OptionGroup var options: ClientOptions

    func run() throws {
      let context = try options.context()
      let screen = context.screen
      let profile = try context.profile()
      let store = try context.store()
      let policy = try TrustStore(home: context.home).policies(profile).refresh(from: store, nowMs: Timestamps.nowMs())
      let mine = context.home.keys.has(.submitter) ? try context.home.keys.signingKey(.submitter).verifyingKey : nil
      let allowed = mine.flatMap { policy.claims.submitter($0) }?.models ?? []
      let catalog = ModelCatalog(store: store, policy: policy)
      for digest in try catalog.digests() {
        do {
          let model = try catalog.published(digest)
          let mayUse = allowed.contains(digest)
          screen.line(
            .object([
              ("manifest", .text(digest.hex)), ("name", .text(model.claims.name)),
              ("publisher", .text(model.publisher)),
              ("dimensions", .unsigned(model.claims.dimensions)),
              ("maximum_tokens", .unsigned(model.claims.maximumTokens)),
              ("int8_accurate", .bool(model.claims.isInt8Accurate)),
              ("allowed", .bool(mayUse)),
            ]))
          screen.out(
            "\(digest.hex.prefix(16))  \(Screen.padded(Shown.printable(model.claims.name), 28))\(Screen.padded(Shown.printable(model.publisher), 16))\(mayUse ? "you may use it" : "not allowed to you")"
          )
        } catch let error as ClientError {
          screen.out("\(digest.hex.prefix(16))  not usable: \(error.reason)")
        }
      }
    }
  }
}
