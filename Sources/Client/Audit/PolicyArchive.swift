import Attestation
import SealedCrypto
import Wire

/// The policies by which old receipts are judged: those that the profile accepted, and further ones from files. All are
/// signed by the profile's policy key, so a file can add what the profile never saw, and nothing that was not issued.
package struct PolicyArchive: Sendable {
  /// Policies in one folder at most.
  private static let filesLimit = 10_000
  /// By version.
  package let policies: [Signed<PolicyClaims>]

  /// - Parameter paths: signed policies, or folders of `*.cose`.
  /// - Throws: ``ClientError`` of kind `rejected` for one that the profile's key did not sign.
  package init(home: ClientHome, profile: TrustProfile, paths: [String]) throws {
    var all = try TrustStore(home: home).policies(profile).all()
    for path in paths {
      var files = [path]
      if try PrivateFiles.isDirectory(path) == true {
        files = try PrivateFiles.names(in: path).filter { $0.hasSuffix(".cose") }.map { "\(path)/\($0)" }
        guard files.count <= Self.filesLimit else {
          throw ClientError(.usage, "\(path) holds more than \(Self.filesLimit) policies", remedy: "name fewer")
        }
      }
      for file in files {
        do {
          let bytes = try PrivateFiles.read(file)
          all.append(try UnverifiedStatement<PolicyClaims>(bytes).verified(by: profile.policyKey))
        } catch let error as ClientError {
          throw error
        } catch {
          throw ClientError(
            .rejected, "\(file) is no policy that the key of profile \(profile.name) signed: \(error)",
            remedy: "ask for the policies that were in force", by: .securityOfficer)
        }
      }
    }
    var seen: Set<ContentDigest> = []
    policies = all.filter { seen.insert($0.digest).inserted }
      .sorted { ($0.claims.version, $0.digest) < ($1.claims.version, $1.digest) }
  }

  /// A head from a file, signed by a submitter that one of the policies lists.
  ///
  /// - Throws: ``ClientError`` of kind `invalid`.
  package func head(_ path: String) throws -> Signed<StreamHeadClaims> {
    let bytes = try PrivateFiles.read(path)
    do {
      return try UnverifiedStatement<StreamHeadClaims>(bytes)
        .verified(byOneOf: policies.flatMap(\.claims.submitters).map(\.key))
    } catch {
      throw ClientError(
        .invalid, "\(path) is no head of a submitter that the policies list: \(error)",
        remedy: "ask the submitter for one: `ephemeral receipts head`")
    }
  }

  /// Versions of which there are two policies: whoever holds the policy key signed both.
  var ambiguousVersions: [UInt64] {
    zip(policies, policies.dropFirst()).filter { $0.claims.version == $1.claims.version }.map(\.0.claims.version)
  }
}
