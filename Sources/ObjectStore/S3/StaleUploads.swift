import SealedCrypto

/// Uploads in parts that nobody will end: of processes that were killed, or whose answer to their beginning was lost. They
/// are listed nowhere and cost storage. On AWS a lifecycle rule removes them (infra/terraform has one); other servers may
/// have none.
struct StaleUploads {
  /// S3's own most.
  private static let pageLimit = 1000
  private static let pageBytes = 16 << 20
  private static let pages = 1000

  private struct Upload {
    let key: ObjectKey
    let id: String
  }

  let store: S3Store

  /// Aborts those below the store's prefix that began before `time`, in seconds since 1970 by the server's clock.
  ///
  /// - Returns: how many there were.
  func remove(begunBefore time: Int64) throws -> Int {
    // All first: aborting while listing would move the pages.
    let uploads = try list(begunBefore: time)
    for upload in uploads {
      _ = try store.client.send(
        S3Call(
          operation: .abortUpload, key: upload.key, query: [("uploadId", upload.id)], accepted: [200, 204, 404]))
    }
    return uploads.count
  }

  private func list(begunBefore time: Int64) throws -> [Upload] {
    let base = store.client.location.prefix
    let action = "GET \(store.location)?uploads"
    var uploads: [Upload] = []
    var marker: (key: String, id: String)?
    for _ in 0..<Self.pages {
      var query = [("uploads", ""), ("prefix", base), ("max-uploads", String(Self.pageLimit))]
      if let marker { query += [("key-marker", marker.key), ("upload-id-marker", marker.id)] }
      let body = try store.client.send(
        S3Call(operation: .listUploads, query: query, responseLimit: Self.pageBytes)
      ).body
      guard let root = try? XMLReader.read(body), root.name == "ListMultipartUploadsResult" else {
        throw S3Store.strange(action, "something else than a list of uploads")
      }
      for item in root.all("Upload") {
        guard let name = item.child("Key")?.text, let id = item.child("UploadId")?.text, !id.isEmpty,
          id.utf8.count <= 2048,
          let begun = (item.child("Initiated")?.text).map(HTTPDate.compactISO).flatMap(SigV4Date.seconds)
        else { throw S3Store.strange(action, "an upload without key, id or date") }
        guard begun < time, name.hasPrefix(base),
          let key = ObjectKey.listed(String(name.unicodeScalars.dropFirst(base.unicodeScalars.count)))
        else { continue }
        uploads.append(Upload(key: key, id: id))
      }
      guard root.child("IsTruncated")?.text == "true" else { return uploads }
      guard let key = root.child("NextKeyMarker")?.text, let id = root.child("NextUploadIdMarker")?.text,
        key != marker?.key || id != marker?.id
      else { throw S3Store.strange(action, "a list of uploads that cannot go on") }
      marker = (key, id)
    }
    throw S3Store.strange(action, "a list of uploads without an end")
  }
}

extension S3Store {
  /// Takes uploads from the server that began more than so many seconds ago and were never ended.
  ///
  /// - Returns: how many there were.
  package func removeStaleUploads(olderThanSeconds seconds: Int64) throws -> Int {
    try StaleUploads(store: self).remove(begunBefore: now() - seconds)
  }
}
