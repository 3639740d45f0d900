import CBuildInfo

/// The product's version.
enum Version {
  /// Semantic version of this source.
  static let text = "0.1.0"
  /// The commit that this program was built from: twelve hexadecimal digits, with `+changes` where the checkout was not
  /// clean; `unknown` where it was built outside of one, or without the Makefile.
  static let commit = String(cString: cbuildinfo_commit())
  /// The commit's date, YYYY-MM-DD; empty where the commit is unknown.
  static let commitDate = String(cString: cbuildinfo_date())

  /// Version and commit, as `--version` and the daemon's log show them.
  static var full: String {
    commitDate.isEmpty ? "\(text) (commit \(commit))" : "\(text) (commit \(commit), \(commitDate))"
  }
}
