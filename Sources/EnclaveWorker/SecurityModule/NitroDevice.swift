import CPlatform
import Glibc
import Wire

/// `/dev/nsm`, by ioctl (linux/drivers/misc/nsm.c).
final class NitroDevice: SecurityModule {
  private let descriptor: Int32

  /// - Throws: ``SecurityModuleError/unavailable(_:)`` where there is no such device.
  init(path: String = "/dev/nsm") throws {
    descriptor = open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw SecurityModuleError.unavailable("opening \(path): \(String(cString: strerror(errno)))")
    }
  }

  deinit { close(descriptor) }

  func exchange(_ request: [UInt8]) throws -> [UInt8] {
    guard request.count <= SecurityModuleRequest.requestBytes else {
      throw SecurityModuleError.malformed("a request over \(SecurityModuleRequest.requestBytes) bytes")
    }
    var response = [UInt8](repeating: 0, count: SecurityModuleRequest.responseBytes)
    var length = response.count
    // The driver serialises requests by itself; the descriptor may be used from several threads.
    guard cplatform_nsm(descriptor, request, request.count, &response, &length) == 0 else {
      throw SecurityModuleError.unavailable("ioctl: \(String(cString: strerror(errno)))")
    }
    guard length <= response.count else { throw SecurityModuleError.malformed("a response longer than its buffer") }
    return Array(response[..<length])
  }
}
