import Glibc

extension DirectoryStore {
  package func list(prefix: String, after: ObjectKey?, limit: Int) throws -> ObjectPage {
    let action = "list \(location)/\(prefix)"
    // Straight to the deepest directory that the prefix names; whatever matches lies in it.
    let parts = prefix.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let above = parts.dropLast()
    guard above.isEmpty || ObjectKey.fault(above.joined(separator: "/")) == nil,
      let start = try root.file.directory(above, create: false, action)
    else { return ObjectPage(entries: [], next: nil) }

    let limit = min(max(limit, 1), DirectoryListing.longestPage)
    var listing = DirectoryListing(
      prefix: Array(prefix.utf8), after: after.map { Array($0.text.utf8) } ?? [], wanted: limit + 1, action: action)
    try listing.walk(start, path: above.map { $0 + "/" }.joined())
    let entries = Array(listing.found.prefix(limit))
    return ObjectPage(entries: entries, next: listing.found.count > limit ? entries.last?.key : nil)
  }
}

/// A walk over files in the byte order of their keys, as S3 lists them. It holds a page's names at a time, however many
/// a directory has: an inbox of a day is looked through every second.
struct DirectoryListing {
  /// A page may be shorter than asked for, as S3's are.
  static let longestPage = 10_000

  let prefix: [UInt8]
  let after: [UInt8]
  /// Stops at so many.
  let wanted: Int
  let action: String
  private(set) var found: [ObjectInfo] = []

  init(prefix: [UInt8], after: [UInt8], wanted: Int, action: String) {
    self.prefix = prefix
    self.after = after
    self.wanted = wanted
    self.action = action
  }

  /// - Parameter path: the directory's own, empty or with a slash at its end.
  mutating func walk(_ directory: OpenFile, path: String) throws {
    guard var range = NameRange(below: Array(path.utf8), prefix: prefix, after: after) else { return }
    // Directories may turn out to be empty and names to be no keys, so one selection may not be enough.
    while found.count < wanted {
      let names = try select(wanted - found.count, of: range, in: directory)
      for name in names.all where found.count < wanted { try visit(name, in: directory, path: path) }
      guard names.wasCut, let last = names.all.last else { return }
      range.last = last
    }
  }

  /// The first names of a directory, of those that may matter.
  private func select(_ count: Int, of range: NameRange, in directory: OpenFile) throws -> FirstNames {
    var names = FirstNames(limit: count)
    var name: [UInt8] = []
    try DirectoryEntries.forEach(directory, action) { bytes, isDirectory in
      // A directory sorts as its name with the slash: `a-b` comes before `a/b`.
      name.removeAll(keepingCapacity: true)
      name.append(contentsOf: bytes)
      if isDirectory { name.append(UInt8(ascii: "/")) }
      if range.mayHold(name) { names.offer(name) }
    }
    names.sort()
    return names
  }

  private mutating func visit(_ name: [UInt8], in directory: OpenFile, path: String) throws {
    let isDirectory = name.last == UInt8(ascii: "/")
    // What is not UTF-8 can be no key.
    guard let text = String(validating: name.dropLast(isDirectory ? 1 : 0), as: UTF8.self) else { return }
    if isDirectory {
      guard let below = try directory.directory([text], create: false, action) else { return }
      return try walk(below, path: path + text + "/")
    }
    var status = stat()
    // Gone since, or not a file: not listed.
    guard let key = try? ObjectKey(path + text),
      fstatat(directory.descriptor, text, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFREG
    else { return }
    found.append(ObjectInfo(key, status))
  }
}

/// Which names of one directory a listing may still want; a directory's name has its slash.
private struct NameRange {
  /// What is left of the listing's prefix below this directory.
  let prefix: ArraySlice<UInt8>
  /// What is left of the key after which it begins.
  let after: ArraySlice<UInt8>
  /// The last name that was looked at.
  var last: [UInt8] = []

  /// - Returns: nil when no key below `path` comes after `after`.
  init?(below path: [UInt8], prefix: [UInt8], after: [UInt8]) {
    self.prefix = prefix.dropFirst(path.count)
    if after.starts(with: path) {
      self.after = after.dropFirst(path.count)
    } else {
      guard after.lexicographicallyPrecedes(path) else { return nil }
      self.after = []
    }
  }

  func mayHold(_ name: [UInt8]) -> Bool {
    guard last.isEmpty || ByteOrder.precedes(last[...], name[...]) else { return false }
    if ByteOrder.precedes(after, name[...]), name.starts(with: prefix) { return true }
    guard name.last == UInt8(ascii: "/") else { return false }
    return (name.starts(with: prefix) || prefix.starts(with: name))
      && (ByteOrder.precedes(after, name[...]) || after.starts(with: name))
  }
}

/// The first names, in byte order, of those that are offered.
private struct FirstNames {
  private let limit: Int
  private(set) var all: [[UInt8]] = []
  /// Whether there were more.
  private(set) var wasCut = false

  init(limit: Int) { self.limit = limit }

  mutating func offer(_ name: [UInt8]) {
    // Sorted and cut when there are twice as many: then most of what follows is refused at a glance.
    if wasCut, !ByteOrder.precedes(name[...], all[limit - 1][...]) { return }
    all.append(name)
    if all.count >= 2 * limit { sort() }
  }

  mutating func sort() {
    all.sort { ByteOrder.precedes($0[...], $1[...]) }
    guard all.count > limit else { return }
    all.removeLast(all.count - limit)
    wasCut = true
  }
}

private enum ByteOrder {
  /// `lexicographicallyPrecedes`, at the speed of memcmp.
  static func precedes(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Bool {
    a.withUnsafeBytes { a in
      b.withUnsafeBytes { b in
        let common = min(a.count, b.count)
        guard common > 0, let first = a.baseAddress, let second = b.baseAddress else { return a.count < b.count }
        let order = memcmp(first, second, common)
        return order == 0 ? a.count < b.count : order < 0
      }
    }
  }
}
