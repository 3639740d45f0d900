import Crypto
import Wire

@testable import SealedCrypto

/// One valid statement of every kind.
enum StatementSamples {
  static let timeMs: UInt64 = 1_780_000_000_000
  static let epochKey = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"

  static let modelKey = "arn:aws:kms:us-east-1:111122223333:key/87654321-4321-4321-4321-210987654321"

  static func digest(_ byte: UInt8) -> ContentDigest { SHA256.digest(of: [byte]) }

  static func pcr(_ byte: UInt8) -> [UInt8] { Array(repeating: byte, count: 48) }

  static func policy(_ submitter: VerifyingKey) -> PolicyClaims {
    PolicyClaims(
      version: 3, issuedMs: timeMs - 1000, notAfterMs: timeMs + 86_400_000,
      measurements: [
        MeasurementTuple(name: "worker 1", pcr0: pcr(1), pcr1: pcr(2), pcr2: pcr(3), pcr8: nil),
        MeasurementTuple(name: "worker 2", pcr0: pcr(4), pcr1: pcr(5), pcr2: pcr(6), pcr8: pcr(7)),
      ], epochKey: epochKey, minimumEpoch: 2, epochValidityMs: 7 * 86_400_000, epochGraceMs: 86_400_000,
      submitters: [
        PolicySubmitter(name: "analyst", key: submitter, operations: ["embed"], models: [digest(1), digest(2)])
      ], publishers: [PolicyPublisher(name: "owner", key: submitter, modelKey: modelKey)], formats: ["safetensors"],
      dtypes: ["F32"], maximumItems: 100_000, maximumInputBytes: 1 << 30,
      recoveryRecipients: [Array(repeating: 8, count: 1216)], requireHybridTLS: true, useFIPSEndpoint: false,
      precisions: ["fp32", "int8"], modelPrecisions: [ModelPrecisions(model: digest(1), precisions: ["fp32"])])
  }

  static func model() -> ModelManifestClaims {
    ModelManifestClaims(
      name: "all-MiniLM-L6-v2", architecture: "bert", format: "safetensors", dtypes: ["F32"], operations: ["embed"],
      maximumTokens: 256, dimensions: 384, createdMs: timeMs,
      files: [
        ModelFile(name: "model.safetensors", size: 90_000_000, sha256: digest(3), isSealed: true),
        ModelFile(name: "1_Pooling/config.json", size: 190, sha256: digest(4), isSealed: false),
      ],
      accuracy: [ModelAccuracy(precision: "int8", meanMillionths: 999_100, leastMillionths: 997_400, texts: 67)])
  }

  static func manifest() -> JobManifestClaims {
    JobManifestClaims(
      policyVersion: 3, sealingKey: digest(5), createdMs: timeMs, notAfterMs: timeMs + 3_600_000,
      salt: Array(repeating: 6, count: 32), operation: "embed", encoding: "base64", seed: .max, model: digest(7),
      precision: "fp32", inputFormat: .idText, inputSHA256: digest(8), inputItems: 60, inputBytes: 40_000,
      recipients: [Array(repeating: 9, count: 1216)],
      stream: StreamPosition(
        id: Array(repeating: 10, count: 16), name: "nightly", sequence: 4, previous: digest(9), voided: [2]))
  }

  static func cancel() -> CancelClaims { CancelClaims(job: digest(11), issuedMs: timeMs) }

  static func head() -> StreamHeadClaims {
    StreamHeadClaims(
      stream: Array(repeating: 10, count: 16), sequence: 4, manifest: digest(15), voided: [2], issuedMs: timeMs)
  }

  static func announcement(_ key: VerifyingKey) -> AnnouncementClaims {
    AnnouncementClaims(
      epoch: 2, publicKey: Array(repeating: 12, count: 1216), notBeforeMs: timeMs, notAfterMs: timeMs + 86_400_000,
      kmsKey: epochKey, policyVersion: 3, policyDigest: digest(13), key: key)
  }

  static func receipt(_ key: VerifyingKey) -> ReceiptClaims {
    ReceiptClaims(
      outcome: .partial, code: .ok, bundle: digest(14),
      job: ReceiptJob(
        manifest: digest(15), model: digest(7), submitter: digest(16), stream: Array(repeating: 10, count: 16),
        sequence: 4, previous: digest(9),
        files: ResultFile.allCases.map { ReceiptFile(file: $0, size: 1000 + $0.rawValue, sha256: digest(17)) },
        merkleRoot: digest(18), items: 60, failedItems: 1, precision: "fp32"), policyVersion: 3,
      policyDigest: digest(13), startedMs: timeMs, endedMs: timeMs + 900, software: "1.0.0", attempt: 1, key: key)
  }

  static func status(_ key: VerifyingKey) -> StatusClaims {
    StatusClaims(
      timeMs: timeMs, software: "1.0.0", policyVersion: 3, policyDigest: digest(13), epochs: [2, 3], nonce: [1, 2],
      key: key)
  }
}
